"""A process is told from a later one of the same number; one that has ended is known to be gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from ofs_spark.io.process import is_gone, name_process

NAME = "from ofs_spark.io.process import name_process; print(name_process(), flush=True); input()"


def test_this_process_is_not_gone() -> None:
    assert name_process().startswith(f"{socket.gethostname()}:{os.getpid()}#")
    assert not is_gone(name_process())


def test_a_process_is_gone_when_it_has_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        named = child.stdout.readline().strip()
        assert not is_gone(named)
        child.kill()
        child.stdout.read()  # until it has let go of the pipe
        child.wait()
    assert is_gone(named)


def test_a_later_process_of_the_same_number_is_another() -> None:
    name, _, own = name_process().partition("#")
    boot, namespace, start = own.split(" ")
    assert is_gone(f"{name}#{boot} {namespace} {int(start) + 1}")


def test_a_machine_that_was_started_anew_has_none_of_its_processes_left() -> None:
    name, _, own = name_process().partition("#")
    _, namespace, start = own.split(" ")
    assert is_gone(f"{name}#another-boot {namespace} {start}")
    assert not is_gone(f"another-host:1#another-boot {namespace} {start}")


@pytest.mark.parametrize("other", ["host:1", "", "x", "host:1#", "host:x#a b c", "host:1#a b", "host:1#a b c d"])
def test_of_a_process_that_is_not_told_apart_nobody_can_say(other: str) -> None:
    assert not is_gone(other)


def test_of_another_container_nobody_can_say() -> None:
    name, _, own = name_process().partition("#")
    boot, _, start = own.split(" ")
    assert not is_gone(f"{name}#{boot} pid:[1] {int(start) + 1}")
