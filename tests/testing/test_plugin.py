"""pytest's fixtures, as an app's own test suite meets them: each test here runs one, in a process of its own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

APP = """
from nextmq_handler import AsyncJob, AsyncQueue, Job, Queue, Worker

emails = Worker("emails")
queue = Queue("emails")  # made at import, as apps do

@emails.processor("welcome")
def welcome(job: Job[str]) -> str:
    return f"Dear {job.data}"

@emails.processor("slow")
async def slow(job: AsyncJob[str]) -> str:
    await job.update_progress(100)
    return job.data

async def sign_up(name):
    return await AsyncQueue("emails").add("slow", name)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Make a suite whose settings name the app's workers. The plugins of this project's own tests are not its."""
    pytester.makepyfile(app=APP)
    others = " ".join(f"-p no:{name}" for name in ("schemathesis", "hypothesispytest", "sybil", "respx"))
    pytester.makeini(
        "[pytest]\nnextmq_workers = app:emails\npythonpath = .\nfilterwarnings = error\n"
        f"asyncio_default_fixture_loop_scope = function\naddopts = {others}\n"
    )
    return pytester


def outcomes(suite: pytest.Pytester, test: str, *options: str) -> dict[str, int]:
    suite.makepyfile(test_app=test)
    return suite.runpytest_subprocess(*options).parseoutcomes()


def test_nextmq_has_the_workers_of_the_settings(suite: pytest.Pytester) -> None:
    test = """
        from app import queue

        def test_welcome(local_nextmq):
            queue.add("welcome", "Ada")
            local_nextmq.run_all()
            assert local_nextmq.job("emails").return_value == "Dear Ada"
    """
    assert outcomes(suite, test) == {"passed": 1}


def test_a_marker_gives_a_test_other_workers(suite: pytest.Pytester) -> None:
    test = """
        import pytest
        from nextmq_handler import Queue, Worker

        @pytest.mark.nextmq(workers=[Worker("numbers", lambda job: job.data + 1)])
        def test_numbers(local_nextmq):
            Queue("numbers").add("add", 1)
            local_nextmq.run_all()
            assert local_nextmq.job("numbers").return_value == 2
    """
    assert outcomes(suite, test, "--strict-markers") == {"passed": 1}


def test_no_job_is_left_to_the_next_test(suite: pytest.Pytester) -> None:
    test = """
        import pytest
        from app import queue

        @pytest.mark.parametrize("number", [1, 2])
        def test_alone(local_nextmq, number):
            queue.add("welcome", "Ada")
            local_nextmq.run_all()
            assert len(local_nextmq.jobs()) == 1
    """
    assert outcomes(suite, test) == {"passed": 2}


def test_a_test_that_forgets_its_jobs_is_told(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_app="""
        from app import queue

        def test_forgetful(local_nextmq):
            queue.add("welcome", "Ada")
    """
    )
    result = suite.runpytest_subprocess("-W", "default")
    assert result.parseoutcomes() == {"passed": 1, "warnings": 1}
    result.stdout.fnmatch_lines(["*UnrunJobsWarning: 1 job was never run: emails/1 'welcome'; *run_all()*"])


def test_a_test_that_only_asserts_what_was_enqueued_is_told_nothing(suite: pytest.Pytester) -> None:
    test = """
        from app import queue

        def test_enqueued(local_nextmq):
            queue.add("welcome", "Ada")
            local_nextmq.assert_enqueued("emails", "welcome", "Ada")
    """
    assert outcomes(suite, test) == {"passed": 1}


@pytest.mark.parametrize("marker", ["asyncio", "anyio"])
def test_async_nextmq_runs_on_the_loop_of_each_plugin(suite: pytest.Pytester, marker: str) -> None:
    test = f"""
        import pytest
        from app import sign_up

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.{marker}
        async def test_sign_up(async_local_nextmq):
            await sign_up("Ada")
            await async_local_nextmq.run_all()
            assert async_local_nextmq.job("emails").progress == 100
    """
    assert outcomes(suite, test) == {"passed": 1}


@pytest.mark.parametrize("old", ["nextmq", "async_nextmq"])
def test_an_old_fixture_is_the_new_one_and_warns_once(suite: pytest.Pytester, old: str) -> None:
    new = old.replace("nextmq", "local_nextmq")
    suite.makepyfile(
        test_app=f"""
        def test_first({old}, {new}):
            assert {old} is {new}

        def test_second({old}): pass
    """
    )
    result = suite.runpytest_subprocess("-W", "default")
    assert result.parseoutcomes() == {"passed": 2, "warnings": 1}
    result.stdout.fnmatch_lines([f"*DeprecationWarning: the fixture {old} is now {new}"])


def test_unittest_needs_no_fixture(suite: pytest.Pytester) -> None:
    test = """
        import unittest
        from app import emails, queue
        from nextmq_handler.testing import LocalNextMQ

        class WelcomeTest(unittest.TestCase):
            def setUp(self):
                self.mq = self.enterContext(LocalNextMQ(workers=[emails]))

            def test_welcome(self):
                queue.add("welcome", "Ada")
                self.mq.run_all()
                self.assertEqual(self.mq.job("emails").return_value, "Dear Ada")
    """
    assert outcomes(suite, test) == {"passed": 1}


def test_live_nextmq_is_a_server_for_each_process_of_xdist(suite: pytest.Pytester) -> None:
    test = """
        import pytest
        from app import queue

        @pytest.mark.parametrize("number", range(4))
        def test_welcome(live_nextmq, number):
            job = queue.add("welcome", f"reader {number}")
            live_nextmq.wait_until_idle()
            assert job.id == "1"  # nobody else's job is there
            assert job.wait_until_finished(timeout=30) == f"Dear reader {number}"
    """
    assert outcomes(suite, test, "-n", "2") == {"passed": 4}


def test_a_name_that_cannot_be_loaded_is_said(suite: pytest.Pytester) -> None:
    suite.makeini("[pytest]\nnextmq_workers = app:nothing\npythonpath = .\n")
    suite.makepyfile(test_app="def test_it(local_nextmq): pass")
    result = suite.runpytest_subprocess()
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines(["*app:nothing cannot be loaded: module 'app' has no attribute 'nothing'"])


@pytest.mark.parametrize("arguments", ["[emails]", "worker=[emails]", ""])
def test_a_marker_that_names_no_workers_is_said(suite: pytest.Pytester, arguments: str) -> None:
    suite.makepyfile(
        test_app=f"""
        import pytest
        from app import emails

        @pytest.mark.nextmq({arguments})
        def test_it(local_nextmq): pass
    """
    )
    result = suite.runpytest_subprocess()
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines(["*the marker nextmq takes workers by name: @pytest.mark.nextmq(workers=[[]…])"])


@pytest.mark.parametrize("fixtures", ["local_nextmq, live_nextmq", "live_nextmq, local_nextmq"])
def test_queues_in_process_and_a_real_server_exclude_each_other(suite: pytest.Pytester, fixtures: str) -> None:
    suite.makepyfile(test_app=f"def test_it({fixtures}): pass")
    result = suite.runpytest_subprocess()
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines(["*use either queues in process or a real server in a test"])


def test_pytest_starts_without_anything_of_the_library(suite: pytest.Pytester) -> None:
    test = """
        import sys

        def test_it():
            ours = ("nextmq_handler", "nextmq_server")
            assert {name for name in sys.modules if name.partition(".")[0] in ours} == {
                "nextmq_handler", "nextmq_handler._deprecated", "nextmq_handler._package",
                "nextmq_handler.testing", "nextmq_handler.testing._plugin", "nextmq_server",
                "nextmq_server.testing", "nextmq_server.testing._plugin",
            }
    """
    assert outcomes(suite, test) == {"passed": 1}
