"""What can be set about the service."""

from dataclasses import dataclass, field

from components.deploy.registry import DEFAULT_URI
from ofa.errors import OFAError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The largest request that is answered. Beyond it the answer is 400 (413 for bytes), saying which limit it was."""

    body_bytes: int = 16 << 20
    """Bytes of a request's body; `max_queue` times as many may be in memory."""
    image_bytes: int = 10 << 20
    """Bytes of one picture file."""
    image_pixels: int = 25_000_000
    """Width times height of one picture, read from the header before anything is decoded. Decoding takes 3 bytes a
    pixel, for up to four pictures at a time."""
    text_characters: int = 500
    """Characters of one question or description, and of one candidate."""
    article_characters: int = 8000
    """Characters of one text to be summarized."""
    items: int = 16
    """Pictures (or texts, or questions about one picture) in one request."""
    candidates: int = 100
    """Answers to choose from."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise OFAError(f"limits.{name} must be at least 1, got {value}")


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What is served, where, and how much of it at a time."""

    model: str = "models:/ofa@champion"
    """A registered model (`models:/ofa@champion`, `models:/ofa/3`), a bundle, a checkpoint folder, a folder of
    checkpoint folders named after their tasks, or a `.pt` file of the original."""
    registry: str = DEFAULT_URI
    """MLflow tracking address for registered models."""
    cache: str = ".cache/models"
    """Folder that registered models are downloaded to; the newest two stay."""
    poll_seconds: float = 15.0
    """Time between looks at the registry for a new version behind the alias."""
    name: str = "ofa"
    """The model's name in the KServe protocols."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 for every network of the machine."""
    port: int = 8000
    """Port to listen at; 0 takes a free one."""
    api_key_file: str | None = None
    """File with the key that requests must carry (`Authorization: Bearer KEY` or `X-API-Key: KEY`). None: no key.
    Health, metrics and the page itself need none."""
    cors_origins: tuple[str, ...] = ()
    """Origins of other web pages that may call the service, such as https://example.org; none by default."""

    image_hosts: tuple[str, ...] = ()
    """Hosts that pictures may be fetched from when a request gives an address instead of a file, such as example.org;
    none by default: nobody reaches into the service's network through it."""

    device: str = "auto"
    """auto, cpu or cuda."""
    threads: int = 0
    """Threads of one computation on the CPU; 0 takes what this process may use."""
    max_batch: int = 16
    """Items computed together at most."""
    max_wait_ms: float = 5.0
    """How long an item waits for others to share its batch, in milliseconds."""
    max_queue: int = 64
    """Items in the service at a time; a request beyond it is answered 429."""
    deadline_seconds: float = 30.0
    """Time for one request from its first byte to its answer; then it is answered 504."""
    drain_delay_seconds: float = 0.0
    """After SIGTERM: time to go on as usual but not ready, until a load balancer has noticed."""
    drain_seconds: float = 30.0
    """After that: time for requests to finish; no new ones are taken."""
    limits: Limits = field(default_factory=Limits)
    """The largest request."""

    def __post_init__(self) -> None:
        for name in ("cors_origins", "image_hosts"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("max_batch", "max_queue"):
            if getattr(self, name) < 1:
                raise OFAError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("threads", "max_wait_ms", "drain_delay_seconds", "drain_seconds"):
            if getattr(self, name) < 0:
                raise OFAError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("poll_seconds", "deadline_seconds"):
            if getattr(self, name) <= 0:
                raise OFAError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.limits.items > self.max_queue:
            raise OFAError(f"max_queue {self.max_queue} must hold one whole request: limits.items {self.limits.items}")
        if not 0 <= self.port < 65536:
            raise OFAError(f"port must lie in 0..65535, got {self.port}")
