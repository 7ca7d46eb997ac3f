"""A shuffled order that needs no memory and no table: any position of any epoch is computed on its own."""

import hashlib

ROUNDS = 6


class Shuffle:
    """A permutation of range(n): `Shuffle(n, key)[i]` is the i-th index of the shuffled order.

    A Feistel network permutes the smallest domain 4^k >= n; a value outside range(n) is sent through again until it
    falls inside (cycle walking: fewer than four passes on average).
    """

    def __init__(self, n: int, key: str):
        self.n = n
        self.half_bits = max(2, (max(n - 1, 1).bit_length() + 1) // 2)
        digest = hashlib.sha256(key.encode()).digest()
        self.round_keys = [int.from_bytes(digest[4 * i : 4 * i + 4], "little") for i in range(ROUNDS)]

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> int:
        if not 0 <= i < self.n:
            raise IndexError(i)
        i = self._permute(i)
        while i >= self.n:
            i = self._permute(i)
        return i

    def _permute(self, i: int) -> int:
        mask = (1 << self.half_bits) - 1
        left, right = i >> self.half_bits, i & mask
        for key in self.round_keys:
            left, right = right, left ^ (_mix(right ^ key) & mask)
        return left << self.half_bits | right


def _mix(x: int) -> int:
    """A 32-bit integer hash with full avalanche (the finalizer of MurmurHash3)."""
    x = ((x ^ x >> 16) * 0x85EBCA6B) & 0xFFFFFFFF
    x = ((x ^ x >> 13) * 0xC2B2AE35) & 0xFFFFFFFF
    return x ^ x >> 16
