"""The archive's hash law: a payload hash is that of the envelope's canonical text, and of no other spelling of it."""

from __future__ import annotations

import hashlib
import json
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.replay.scan.hashes import check_hashes, hash_payload
from ofs_spark.replay.scan.tokens import scan_tokens


def test_hashes_hold_for_canonical_and_for_any_other_spelling() -> None:
    canonical, spaced = '{"a":1,"b":"\\u00e9"}', '{"b": "é", "a": 1}'
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    assert hash_payload(spaced.encode()) == bytes.fromhex(hashed)
    assert hash_payload(b'{"a":"\xff"}') is None
    envelopes = pa.array([canonical, spaced, canonical, '{"a":2}', "{"])
    assert check(envelopes, pa.array([hashed, hashed, hashed.upper(), hashed, hashed])) == [
        True,
        True,
        False,
        False,
        False,
    ]


def check(envelopes: pa.Array, stated: pa.Array) -> list[bool]:
    hold: list[bool] = check_hashes(envelopes, stated, find_canonical(envelopes)).hold.tolist()
    return hold


def find_canonical(envelopes: pa.Array) -> Array:
    return scan_tokens(envelopes, ()).canonical


OTHERWISE = (
    '{"a": 1}', '{"b":1,"a":1}', '{"a":1,"a":1}', '{"a":"é"}', r'{"a":"\u00E9"}', r'{"a":"\/"}', r'{"a":"\u0041"}',
    r'{"a":"\u000a"}', '{"a":"\x7f"}', '{"a":-0}', '{"a":1.10}', '{"a":0.00}', '{"a":1e5}', '{"a":1E+16}', '{"a":0.00001}',
    '{"a":12345678901234567.0}', '{"a":0.30000000000000003}', '{"a":[{"c":1,"b":1}]}', '{"a":1}\n',
    '{"a!":1,"a":1}', '{"a ":1,"":1}', '{"scenario_run_id":1,"scenario_id":1}', '{"abcdefgh":1,"abcdefgh":1}', '{"":1,"":1}',
    '{"abcdefghi":1,"abcdefgh":1}',
)  # fmt: skip
"""Texts of which the archive writes another one, or none."""
CANONICAL = (
    '{}', '{"B":1,"a":{"a":1},"aa":1}', '{"a":[{"b":1},{"a":1}]}', r'{"a":"\u00e9\n\\\"\u001f\u007f\ud83d\ude00\ud800"}',
    '{"a":-0.0}', '{"a":1e+16}', '{"a":1e-05}', '{"a":0.0001}', '{"a":0.30000000000000004}', '{"a":123456789012345.6}',
    '{"a":999999999999999.9,"b":-1.5,"c":12345678901234567890}', r'{"\u00e9":1,"\u00ea":[true,false,null]}', '[' * 70 + ']' * 70,
    '{"":1,"a":1,"a ":1,"a!":1,"aa":1}', '{"abcdefgh":1,"abcdefghi":1,"scenario_id":1,"scenario_run_id":1}',
)  # fmt: skip


@pytest.mark.parametrize("text", [*OTHERWISE, *CANONICAL])
def test_the_hash_of_an_envelope_is_that_of_its_canonical_text_alone(text: str) -> None:
    own = hashlib.sha256(text.encode()).hexdigest()
    assert check(pa.array([text]), pa.array([own])) == [text in CANONICAL]


def test_a_text_that_is_no_json_has_no_hash_of_its_own() -> None:
    texts = ["{", "", '{"a":1,}', "{}{}", '{"a":01}', None]
    own = [hashlib.sha256((text or "").encode()).hexdigest() for text in texts]
    assert not any(check(pa.array(texts), pa.array(own)))


@pytest.mark.parametrize("odd", ["\x7f", "é", "\U0001f600", "\\/", "\\u0041"])
def test_one_odd_character_is_found_wherever_it_stands(odd: str) -> None:
    texts = [f'{{"a":"{"~" * place}{odd}{" " * (20 - place)}"}}' for place in range(21)]
    assert not find_canonical(pa.array(texts)).any()
    assert find_canonical(pa.array([text.replace(odd, "") for text in texts])).all()
    assert find_canonical(pa.array([text.replace(odd, "\\u00e9") for text in texts])).all()


def test_a_text_is_canonical_only_where_python_writes_it_so() -> None:
    draw = Random(1)
    texts = [draw_text(draw, 0) for _ in range(5_000)]
    certain = find_canonical(pa.array(texts))
    written = np.array([json.dumps(json.loads(one), sort_keys=True, separators=(",", ":")) == one for one in texts])
    assert not (certain & ~written).any()
    named_plainly = np.array(['\\u00e9":' not in one for one in texts])
    assert (certain == written)[named_plainly].all()
    assert 500 < certain.sum() < 4_500


def draw_text(draw: Random, depth: int) -> str:
    """A JSON text whose parts are now and then spelled as Python does not."""
    blank = draw.choice(["", "", "", "", " "])
    if depth == 3 or draw.random() < 0.3:
        near = [
            repr(draw.uniform(-9, 9) * 10.0 ** draw.randint(-20, 20)),
            str(round(draw.uniform(-99, 99), draw.randint(0, 6))),
        ]
        return draw.choice(
            [*near, "1.10", "-0", "0.0", "-0.0", "7", "1e5", '"x"', '"\\u00e9"', '"é"', '"\\/"', "true", "null"]
        )
    inner = [draw_text(draw, depth + 1) for _ in range(draw.randint(0, 3))]
    if draw.random() < 0.4:
        return "[" + f",{blank}".join(inner) + "]"
    names = [draw.choice(['"a"', '"b"', '"aa"', '"B"', '""', '"\\u00e9"']) for _ in inner]
    names = sorted(names) if draw.random() < 0.8 else names
    return "{" + ",".join(f"{name}:{blank}{value}" for name, value in zip(names, inner, strict=True)) + "}"
