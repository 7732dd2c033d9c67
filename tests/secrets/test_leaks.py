"""The last test of a run: nothing that the product said in it holds a credential, a token, a cookie or a hash."""

from tests.secrets.recorder import RunRecorder


def test_the_whole_run_leaked_nothing(run_so_far: RunRecorder) -> None:
    leaks = run_so_far.find_leaks()
    assert not leaks, "\n".join(f"{leak.where}: {leak.what} {leak.around}" for leak in leaks[:20])
