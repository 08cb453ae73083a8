"""What a process may use of its machine, as control groups of both versions say it; seeds and their keys."""

import resource

import jax
import pytest

from rfcollapse.learn import devices

CPUS = {"quota": "cpu.cfs_quota_us", "period": "cpu.cfs_period_us"}


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Writes the groups of this process and the files of its machine: affinity to 64 cores, 16 GiB."""

    def write(own, **files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_max", ".max")
            for short, long in CPUS.items():
                path = path.with_name(path.name.replace(short, long))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        (tmp_path / "own").write_text(own)

    monkeypatch.setattr(devices, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(devices, "GROUPS", tmp_path)
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.setattr(devices.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**22}.get, raising=False)
    return write


V1 = "4:memory:/\n1:cpu,cpuacct:/docker/abc\n0::/\n"


@pytest.mark.parametrize("own, files, expected", [
    ("0::/\n", {"cpu_max": "100000 100000"}, 1),
    ("0::/\n", {"cpu_max": "250000 100000"}, 3),
    ("0::/\n", {"cpu_max": "5000 100000"}, 1),
    ("0::/\n", {"cpu_max": "max 100000"}, 64),
    ("0::/\n", {}, 64),
    ("0::/a/b\n", {"a__cpu_max": "200000 100000", "a__b__cpu_max": "max 100000"}, 2),
    ("0::/a/b\n", {"a__cpu_max": "800000 100000", "a__b__cpu_max": "400000 100000"}, 4),
    ("0::/../elsewhere\n", {"cpu_max": "300000 100000"}, 3),
    ("0::/\n", {"cpu_max": "99900000 100000"}, 64),
    ("0::/\n", {"cpu_max": "nonsense"}, 64),
    (V1, {"cpu__docker__abc__quota": "200000", "cpu__docker__abc__period": "100000"}, 2),
    (V1, {"cpu__quota": "150000", "cpu__period": "100000"}, 2),  # a container sees its group as the root
    (V1, {"cpu__quota": "-1", "cpu__period": "100000"}, 64),
    (V1, {"cpu__quota": "100000"}, 64),
])  # fmt: skip
def test_cores_know_affinity_and_quota(groups, own, files, expected):
    groups(own, **files)
    assert devices.cores() == expected


def test_without_control_groups_the_affinity_stands(groups, monkeypatch):
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: range(3), raising=False)
    assert devices.cores() == 3  # no /proc/self/cgroup
    groups("0::/\n", cpu_max="900000 100000")
    assert devices.cores() == 3
    monkeypatch.delattr(devices.os, "sched_getaffinity")
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 7)
    assert devices.cores() == 7


@pytest.mark.parametrize("own, files, expected", [
    ("0::/a\n", {"a__memory_max": str(2**30), "memory_max": "max"}, 2**30),
    ("4:memory:/x\n", {"memory__x__memory.limit_in_bytes": str(2**33)}, 2**33),
    ("4:memory:/\n", {"memory__memory.limit_in_bytes": "9223372036854771712"}, 2**34),
    ("", {}, 2**34),
])  # fmt: skip
def test_memory_is_the_least_that_is_allowed(groups, monkeypatch, own, files, expected):
    groups(own, **files)
    assert devices.memory() == expected
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2**20, 2**40))
    assert devices.memory() == 2**20


@pytest.mark.parametrize("wide", [True, False])
def test_seeds_have_keys_of_their_own_whatever_the_switch(wide):
    with jax.enable_x64(wide):
        keys = [devices.key(seed) for seed in (0, 1, 2**32, 2**32 + 1, 2**63 - 1)]
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == 5
    assert keys[1] == jax.random.key(1)
    for seed in (-1, 2**63):
        with pytest.raises(ValueError, match=f"seed must be from 0 to 9223372036854775807; got {seed}"):
            devices.key(seed)
