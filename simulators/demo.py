"""The demonstration: ``python -m simulators.demo``. A street without hardware, a real broker, the real daemon.

It ends by itself when the story is complete: the incident's case has closed, and the last notification has arrived
(exit code 0), or when its time is up (1). Ctrl-C ends everything that was started, by process id (130). A part that
dies is named, with the end of its log (1). Rules and daemon run in real time; only the simulated street runs faster
with ``--speed``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from sensord.core.instant import DAY, SECOND
from sensord.errors import SensordError, UnavailableError
from sensord.phrasebook import shown
from sensord.words import language as preferred_language
from sensord.words import say
from simulators.captions import WORDS
from simulators.narrator import Narrator
from simulators.publish import Statistics, publish
from simulators.recorded import load_street
from simulators.responders import Responders
from simulators.stage import SHIPPED, Stage, set_stage
from simulators.story import Story
from simulators.street import Street
from simulators.tracker import Event
from simulators.view import View

EXIT_FAILED, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 130, 143
_MARGIN = 60.0
"""Seconds that the daemon has after the end of the last incident."""
_START = 5.0
_SILENT_PERIODS = 3
_LINGER = 6 * SECOND
"""How long the last picture stays on a terminal when the story is over."""


class Simulation:
    """The simulated street, publishing from a thread until it is stopped."""

    def __init__(self, stage: Stage, street: Street, speed: float) -> None:
        self.statistics = Statistics()
        self._mqtt, self._street, self._speed = stage.loaded.settings.mqtt, street, speed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop, self._started = asyncio.Event(), threading.Event()
        self._thread = ThreadPoolExecutor(1, "simulation")
        self._done: Future[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._done = self._thread.submit(asyncio.run, self._play())

    def check(self) -> None:
        """Raise ``UnavailableError`` when the simulation has failed."""
        if self._done is not None and self._done.done() and (error := self._done.exception()) is not None:
            raise UnavailableError(f"the simulated street has ended: {error}") from error

    def stop(self) -> None:
        """End it, and wait for what is in flight."""
        if self._done is not None and self._started.wait(_START) and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.shutdown()

    async def _play(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.set()
        self.statistics = await publish(
            self._mqtt,
            self._street.messages(),
            self._speed,
            start=self._street.start,
            stop=self._stop,
            on_progress=self._note,
        )

    def _note(self, statistics: Statistics) -> None:
        self.statistics = statistics


class Demo:
    """One performance."""

    def __init__(self, stage: Stage, scenario: str, speed: float, duration: float | None, language: str) -> None:
        self._stage, self._speed, self._language = stage, speed, language
        self._began = time.time_ns()
        planned = load_street(stage.loaded, scenario, None, self._began)
        street = load_street(stage.loaded, scenario, DAY / SECOND, self._began)
        self._check(planned)
        self.story = Story(stage.loaded.definition, planned, self._to_clock)
        self.simulation = Simulation(stage, street, speed)
        self.view = View(stage.url, stage.receiver.inbox, language, token=stage.token())
        self._people = Responders(stage.url, stage.token(), language)
        self._narrator = Narrator(planned, self._to_scenario, language)
        ends = [incident.end for incident in self.story.incidents] or [planned.end]
        self._deadline = self._to_clock(max(ends)) + round(_MARGIN * SECOND)
        if duration is not None:
            self._deadline = self._began + round(duration * SECOND)
        self.complete = False

    def _to_clock(self, instant: int) -> int:
        """Turn a scenario's instant into the wall clock's."""
        return self._began + round((instant - self._began) / self._speed)

    def _to_scenario(self, instant: int) -> int:
        """Turn the wall clock's instant into the scenario's."""
        return self._began + round((instant - self._began) * self._speed)

    def _check(self, street: Street) -> None:
        """A silence must last longer than the daemon waits, at this speed, too."""
        devices = {device.id: device for device in street.places.devices}
        for incident in street.truth():
            if incident.kind != "silence":
                continue
            lasts = (incident.end - incident.start) / self._speed
            if lasts < (_SILENT_PERIODS + 1) * devices[incident.device].period:
                raise click.UsageError(
                    f"at this speed {incident.device} is silent for {lasts / SECOND:.0f} s only: nobody would notice;"
                    " choose a smaller --speed"
                )

    def perform(self, keep: bool) -> None:
        """Play the story to its end, or on and on with ``keep``."""
        self.simulation.start()

        def on_turn(events: Sequence[Event]) -> bool:
            if _terminated.is_set():
                raise SystemExit(EXIT_TERMINATED)
            self._stage.check()
            self.simulation.check()
            self.story.take(events)
            now = time.time_ns()
            self._answer(now)
            self._tell(now)
            if not self.complete and self.story.complete(now):
                self.complete = True
                self._deadline = now + (_LINGER if self.view.live else 0)
            return keep or now <= self._deadline

        try:
            self.view.run(on_turn)
        finally:
            self._people.close()
            self.simulation.stop()

    def _answer(self, now: int) -> None:
        """Let people say what is due, and show it."""
        for reply in self._people.act(self.story, now):
            self.story.answered(reply.case, reply.person)
            self.view.tell(reply.text(self._language), now, "answers")

    def _tell(self, now: int) -> None:
        """Say what truly happens."""
        for text in self._narrator.news(now):
            self.view.tell(text, now)
        words = WORDS[self._language]
        self.view.note = words["over"] if self.complete else self._narrator.note(now)

    def summary(self) -> list[str]:
        """Tell what happened."""
        sent = self.simulation.statistics
        published = {
            "zh": f"模拟传感器发送 {sent.messages} 条消息，MQTT 服务器确认 {sent.acknowledged} 条",
            "en": f"{sent.messages} simulated messages were sent, {sent.acknowledged} acknowledged by the broker",
        }
        return [*self.story.summary(self._language), published[self._language], self._verdict()]

    def _verdict(self) -> str:
        if not self.complete:
            texts = {"zh": "故事没有在限定时间内完成", "en": "the story was not complete in time"}
        elif not self.good:
            texts = {
                "zh": "✗ 有误报，或通知了不负责的人",
                "en": "✗ there were false alarms, or the wrong people were told",
            }
        else:
            texts = {"zh": "✓ 演示完成", "en": "✓ the story is over"}
        return texts[self._language]

    @property
    def good(self) -> bool:
        """Complete, and nobody told without reason."""
        return self.complete and self.story.good(time.time_ns())


_terminated = threading.Event()


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """End at once; should whatever runs right now swallow that, at the next turn."""
    _terminated.set()
    raise SystemExit(EXIT_TERMINATED)


def play(
    scenario: str, speed: float, duration: float | None, language: str, keep: bool, broker: str | None = None
) -> int:
    """Run the demonstration and return its exit code; ``duration`` is in seconds of the clock."""
    console = Console(highlight=False)
    starting = {"zh": "正在启动：MQTT 服务器、通知接收端、守护进程……", "en": "starting: broker, receiver, daemon ..."}
    console.print(starting[language])
    demo: Demo | None = None
    interrupted = False
    with tempfile.TemporaryDirectory(prefix="sensord-demo-", ignore_cleanup_errors=True) as folder:
        try:
            with set_stage(Path(folder), language, broker) as stage:
                _greet(console, stage, scenario, speed, language)
                demo = Demo(stage, scenario, speed, duration, language)
                demo.perform(keep)
        except KeyboardInterrupt:
            interrupted = True
    if demo is not None:
        for line in demo.summary():
            console.print(line, markup=False, soft_wrap=True)
    if interrupted and not (keep and demo is not None and demo.complete):
        return EXIT_INTERRUPTED
    return 0 if demo is not None and demo.good else EXIT_FAILED


def _greet(console: Console, stage: Stage, scenario: str, speed: float, language: str) -> None:
    broker = f"{stage.broker.kind} {stage.broker.host}:{stage.broker.port}"
    text = {
        "zh": f"场景 {scenario}，倍速 {speed:g}；MQTT：{broker}；守护进程：{stage.url}",
        "en": f"scenario {scenario}, speed {speed:g}; broker: {broker}; daemon: {stage.url}",
    }
    console.print(text[language], markup=False, soft_wrap=True)


_FOLDER = SHIPPED / "scenarios"
_KNOWN = ", ".join(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help=say(
        "演示 sensord：人群聚集，通知负责的人，人群散去，案件结案。不需要任何硬件。",
        "Show sensord at work: a crowd forms, the right people are told, it disperses, the case closes.",
    ),
)
@click.option(
    "--scenario",
    default="lane-crowd",
    show_default=True,
    help=say(f"场景：{_KNOWN}，或一个文件", f"one of: {_KNOWN}, or a file's path"),
)
@click.option(
    "--speed",
    type=click.FloatRange(0.25, 6),
    default=1.0,
    show_default=True,
    help=say("模拟街道的倍速（规则仍按真实时间）", "of the simulated street (rules stay in real time)"),
)
@click.option(
    "--language", type=click.Choice(["zh", "en"]), default=preferred_language, help=say("显示语言", "what is spoken")
)
@click.option(
    "--duration", type=click.FloatRange(min=1), default=None, help=say("最多运行秒数", "at most so many seconds")
)
@click.option(
    "--keep", is_flag=True, help=say("演示完成后继续，直到 Ctrl-C", "run on when the story is over, until Ctrl-C")
)
@click.option(
    "--broker",
    type=click.Choice(["mosquitto", "amqtt"]),
    default=None,
    help=say("MQTT 服务器（默认：已安装的）", "the MQTT broker (default: what is installed)"),
)
def main(scenario: str, speed: float, language: str, duration: float | None, keep: bool, broker: str | None) -> None:
    """Play, and end with the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    os.environ["SENSORD_LANGUAGE"] = language  # errors, too, are shown in the language that was asked for
    try:
        code = play(scenario, speed, duration, language, keep, broker)
    except SensordError as error:
        click.echo(shown(error), err=True)
        code = EXIT_FAILED
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
