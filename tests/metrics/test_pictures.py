"""FID and IS against SciPy's matrix root and entropy, as pytorch-fid and the original compute them."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from PIL import Image
from torchvision.models import inception_v3

from ofa.errors import OFAError
from ofa.metrics.inception import Inception
from ofa.metrics.pictures import Gaussian, frechet_distance, inception_score, perplexity


def features(seed, rows, columns):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns)) + rng.normal(size=columns)


def by_scipy(x, y):
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    difference = x.mean(0) - y.mean(0)
    return difference @ difference + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)


@pytest.mark.parametrize("columns", [2, 16, 64])  # of 300 and 500 rows
def test_the_distance_is_that_of_scipys_matrix_root(columns):
    x, y = features(0, 300, columns), features(1, 500, columns)
    found = frechet_distance(Gaussian.of(x), Gaussian.of(y))
    assert found == pytest.approx(by_scipy(x, y), rel=1e-9)


def test_commuting_covariances_have_a_closed_form():
    mean, a, b = np.array([1.0, -2.0, 0.5]), np.array([4.0, 9.0, 0.0]), np.array([1.0, 16.0, 25.0])
    found = frechet_distance(Gaussian(np.zeros(3), np.diag(np.sqrt(a))), Gaussian(mean, np.diag(np.sqrt(b))))
    assert found == pytest.approx(mean @ mean + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), abs=1e-12)


def test_fewer_pictures_than_features_still_work():
    x = features(0, 10, 64)
    same = frechet_distance(Gaussian.of(x), Gaussian.of(x))
    assert same == pytest.approx(0, abs=1e-6 * np.trace(np.cov(x, rowvar=False)))
    moved = frechet_distance(Gaussian.of(x), Gaussian.of(x + 3))
    assert moved == pytest.approx(9 * 64, rel=1e-6)


def test_statistics_in_a_file(tmp_path):
    x = features(0, 50, 4)
    np.savez(tmp_path / "gt_stat.npz", mu=x.mean(0), sigma=np.cov(x, rowvar=False))
    assert frechet_distance(Gaussian.load(tmp_path / "gt_stat.npz"), Gaussian.of(x)) == pytest.approx(0, abs=1e-9)
    np.savez(tmp_path / "other.npz", mean=x.mean(0))
    with pytest.raises(OFAError, match="other.npz: not a .npz file of mu and sigma"):
        Gaussian.load(tmp_path / "other.npz")


@pytest.mark.parametrize("splits", [1, 3])
def test_the_inception_score_is_that_of_scipys_entropy(splits):
    probabilities = np.random.default_rng(0).dirichlet(np.full(20, 0.1), size=100)
    probabilities[0] = np.eye(20)[3]
    parts = [probabilities[i * (100 // splits) : (i + 1) * (100 // splits)] for i in range(splits)]
    expected = [np.exp(np.mean([scipy.stats.entropy(row, part.mean(0)) for row in part])) for part in parts]
    assert inception_score(probabilities, splits) == pytest.approx((np.mean(expected), np.std(expected)))


def test_the_inception_score_has_its_bounds():
    assert inception_score(np.eye(7)[np.arange(70) % 7])[0] == pytest.approx(7)
    assert inception_score(np.full((10, 7), 1 / 7))[0] == pytest.approx(1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights in the form of torchvision's file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(inception_v3(weights=None, init_weights=False).state_dict(), path)
    return path


def test_features_are_what_the_original_computes(weights):
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)) for _ in range(2)]
    found, probabilities = Inception(weights)(pictures, batch_size=1)

    net = inception_v3(weights=None, init_weights=False).eval()
    net.load_state_dict(torch.load(weights, weights_only=True))
    resized = [np.asarray(picture.resize((299, 299), Image.Resampling.BILINEAR)) for picture in pictures]
    x = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        classes = net(x).softmax(1)
        net.transform_input = True  # torchvision's own way from ImageNet's statistics to 0.5 and 0.5
        net.fc = torch.nn.Identity()
        pooled = net(x)
    assert found.shape == (2, 2048) and probabilities.shape == (2, 1000)
    np.testing.assert_allclose(found, pooled.numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(probabilities, classes.numpy(), rtol=1e-3, atol=1e-6)


def test_what_is_missing_is_said_in_one_line(tmp_path):
    with pytest.raises(OFAError, match="no file .*absent.pth: get torchvision's inception_v3_google-0cc3c7bd.pth"):
        Inception(tmp_path / "absent.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(OFAError, match="other.pth: not the weights of torchvision's Inception v3") as error:
        Inception(tmp_path / "other.pth")
    assert "\n" not in str(error.value)


def test_perplexity_counts_the_codes_in_use():
    assert perplexity(np.full(512, 3)) == pytest.approx(512)
    assert perplexity(np.array([0, 9, 0])) == pytest.approx(1)
    counts = np.array([5, 0, 1, 7])
    assert perplexity(counts) == pytest.approx(np.exp(scipy.stats.entropy(counts / 13)))
