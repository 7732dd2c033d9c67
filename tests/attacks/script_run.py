"""Runs one script by one driver, and checks each answer and what is left."""

import asyncio
import json
import re
from typing import Any

import msgspec

from tests.attacks.attack_bench import AttackBench, ProjectRows, count_changed, fill
from tests.attacks.corpus import AgentProfile, AttackScript, AttackStep
from tests.attacks.drivers import AttackAnswer, Driver, read_answer
from tests.fixtures.bench import BenchAgent

_PROPOSAL = re.compile(r'"proposalId":"([^"]+)"')


class ScriptRun:
    def __init__(
        self, bench: AttackBench, script: AttackScript, profile: AgentProfile, agent: BenchAgent, driver: Driver
    ) -> None:
        self._bench = bench
        self._script = script
        self._hidden = profile.hidden
        self._agent = agent
        self._driver = driver
        self._names = bench.make_names(agent)
        self._proposal = ""

    async def perform(self) -> None:
        """Raises AssertionError for what does not hold; the project's rows are as before in any case."""
        before = await self._bench.read_rows()
        after: ProjectRows = frozenset()
        try:
            for number, step in enumerate(self._script.steps, 1):
                await self._take(number, step)
            after = await self._bench.read_rows()
        finally:
            if after != before:
                await self._bench.restore()
        await self._check_rows(count_changed(before, after))

    async def _take(self, number: int, step: AttackStep) -> None:
        filled = _fill_step(step, {**self._names, "session": self._driver.session, "proposal": self._proposal})
        if filled.database is not None:
            await self._bench.bench.run(filled.database)
        elif filled.member is not None:
            await self._act_as_member(filled, filled.member)
        else:
            faults = await self._act_as_agent(filled)
            assert not faults, f"step {number}, {step.rest or step.sql or step.mcp}: {faults}"

    async def _act_as_member(self, step: AttackStep, action: str) -> None:
        method, _, path = action.partition(" ")
        address = f"/api/connections/{self._bench.bench.connection_id}/{path}"
        answer = await self._bench.bench.person.request(method, address, json=step.body)
        outcome = read_answer(answer).outcome
        assert outcome in step.refusals or (answer.is_success and not step.refusals), (
            f"{action}: {outcome} {answer.text}"
        )
        await self._bench.bench.product.settled()

    async def _act_as_agent(self, step: AttackStep) -> list[str]:
        """What is wrong with the answers."""
        copies = [_fill_step(step, {"n": str(number)}) for number in range(1, step.times + 1)]
        answers = await asyncio.gather(*(self._send(one) for one in copies))
        found = _PROPOSAL.search(answers[0].content)
        self._proposal = found[1] if found else self._proposal
        faults = [fault for answer in answers for fault in self._list_faults(step, answer)]
        if step.accepted is not None:
            accepted = sum(answer.is_success for answer in answers)
            faults += [f"{accepted} of {step.times} succeeded"] if accepted != step.accepted else []
        if step.same_as is not None:
            twin = await self._driver.send(step, step.same_as)
            faults += [f"{answers[0].shown} is not {twin.shown}"] if answers[0].shown != twin.shown else []
        return faults

    async def _send(self, step: AttackStep) -> AttackAnswer:
        return await self._driver.send(step, getattr(step, self._driver.name))

    def _list_faults(self, step: AttackStep, answer: AttackAnswer) -> list[str]:
        shown = f"{answer.content}\n{answer.headers}"
        faults = [f"shows {word}: {shown}" for word in self._hidden if word in shown and word not in step.sent]
        if answer.outcome.startswith("500"):
            faults.append(answer.outcome)
        if step.refusals and not (step.accepted is not None and answer.is_success):
            faults += [] if answer.outcome in step.refusals else [f"{answer.outcome} {answer.content}"]
        if step.status is not None and answer.outcome != str(step.status):
            faults.append(f"{answer.outcome} {answer.content}")
        if step.gives is not None and (not answer.is_success or _decode(answer.content) != json.loads(step.gives)):
            faults.append(f"{answer.outcome} {answer.content}")
        return faults

    async def _check_rows(self, changed: dict[str, int]) -> None:
        """That only the rows changed that may, and that the journal has each of them."""
        most = self._script.at_most
        for place in most.keys() & changed.keys():
            assert changed[place] <= most[place], f"more than {most[place]} rows of {place} changed"
        others = {place: count for place, count in changed.items() if place not in most}
        assert others == self._script.changed, f"changed {others}"
        if not self._script.unrecorded:
            recorded = await self._bench.count_recorded(self._agent)
            for place, count in changed.items():
                known = recorded.get(place.strip('"'), 0)
                assert known >= count, f"of {place}, the journal has {known} changes"


def _fill_step(step: AttackStep, names: dict[str, str]) -> AttackStep:
    return msgspec.convert(fill(msgspec.to_builtins(step), names), AttackStep)


def _decode(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content
