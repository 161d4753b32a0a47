from __future__ import annotations

import pathlib

from spec.machine import usable_machine

GIB = 1 << 30


def test_a_container_has_what_its_cgroup_leaves_it(tmp_path: pathlib.Path) -> None:
    cores, memory = usable_machine(tmp_path)  # no such group
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_machine(tmp_path) == (cores, memory)
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text(f"{GIB}\n")
    assert usable_machine(tmp_path) == (1, GIB)
