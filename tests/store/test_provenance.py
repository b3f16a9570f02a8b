from datetime import datetime, timedelta

from pyqmc_art.rng import STREAM_VERSION
from pyqmc_art.store.provenance import collect, find_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_what_is_collected():
    found = collect()
    assert found["stream_version"] == STREAM_VERSION
    assert datetime.fromisoformat(found["date"]).utcoffset() == timedelta(0)
    assert all(found[name] for name in ("version", "commit", "python", "numpy", "machine"))


def test_commit_of_a_branch_a_packed_branch_and_a_detached_head(tmp_path):
    git = tmp_path / ".git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert find_commit(tmp_path) == "unknown"
    (git / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{'f' * 40} refs/heads/other/main\n{COMMIT} refs/heads/main\n"
    )
    assert find_commit(tmp_path) == COMMIT
    (git / "refs/heads/main").write_text("a" * 40 + "\n")
    assert find_commit(tmp_path) == "a" * 40
    (git / "HEAD").write_text(COMMIT + "\n")
    assert find_commit(tmp_path) == COMMIT


def test_commit_of_a_linked_work_tree(tmp_path):
    linked = tmp_path / "main/.git/worktrees/side"
    linked.mkdir(parents=True)
    (linked / "HEAD").write_text("ref: refs/heads/side\n")
    (linked / "commondir").write_text("../..\n")
    (tmp_path / "main/.git/packed-refs").write_text(f"{COMMIT} refs/heads/side\n")
    (tmp_path / "side").mkdir()
    (tmp_path / "side/.git").write_text(f"gitdir: {linked}\n")
    assert find_commit(tmp_path / "side") == COMMIT


def test_no_checkout_is_unknown(tmp_path):
    assert find_commit(tmp_path) == "unknown"
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("not a commit\n")
    assert find_commit(tmp_path) == "unknown"
