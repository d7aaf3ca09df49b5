"""OSC messages from python-osc over a real loopback socket, and hostile ones."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inpaint_core.__main__ import main
from inpaint_core.live import osc
from inpaint_core.live.osc import OscControl, OscError, parse, unpack
from inpaint_core.translation import FrameTranslator, LiveControls

udp_client = pytest.importorskip("pythonosc.udp_client")
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder  # noqa: E402
from pythonosc.osc_message_builder import OscMessageBuilder  # noqa: E402


def message(address: str, *values: object) -> bytes:
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build().dgram


def bundle(*contents: bytes, time_tag: int = 1) -> bytes:
    parts = [struct.pack(">i", len(content)) + content for content in contents]
    return b"#bundle\0" + struct.pack(">Q", time_tag) + b"".join(parts)


ZOOM = message("/zoom", 2.0)
HOSTILE = {
    "nothing": b"",
    "zeros": bytes(64),
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "address only": b"/zoom\0\0\0",
    "no end": b"/zoom",
    "no value": b"/zoom\0\0\0,s\0\0",
    "not UTF-8": b"/zoom\0\0\0,s\0\0\xff\xfe\0\0",
    "not ASCII": "/zööm\0\0".encode() + b",f\0\0" + bytes(4),
    "misaligned": b"/zoom\0,f\0\0" + bytes(6),
    "unknown types": b"/zoom\0\0\0," + b"Z" * 200 + bytes(4),
    "types after the types": b"/\0,\0,ZZZ" + bytes(8),
    "array": b"/zoom\0\0\0,[f\0" + bytes(4),
    "truncated": ZOOM[:-7],
    "bundle of nothing": b"#bundle\0",
    "bundle that goes back": bundle() + struct.pack(">i", -4) + bytes(8),
    "bundle with an empty element": bundle() + struct.pack(">i", 0) + bytes(8),
    "bundle that is too short": bundle(ZOOM)[:-1],
    "too long": message("/zoom", "x" * 4000),
    "longest": bytes(60_000),
}


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(osc, "QUIET", 0.0)
    return []


@pytest.fixture
def control(reports: list[str]) -> Iterator[OscControl]:
    with OscControl("127.0.0.1", 0, reports.append) as control:
        yield control


@pytest.fixture
def client(control: OscControl):
    return udp_client.SimpleUDPClient("127.0.0.1", control.port)


def send(control: OscControl, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", control.port))


def settings(translator: FrameTranslator) -> tuple[float, str, float]:
    controls = translator.controls or LiveControls()
    return translator.smooth_output.amount, controls.stretch, controls.zoom


def test_each_address_sets_its_setting(client, control: OscControl, translator, reports: list[str]) -> None:
    client.send_message("/smoothing", 0.25)
    client.send_message("/contrast", "clahe")
    client.send_message("/zoom", 2)
    control.apply(translator)
    assert settings(translator) == (0.25, "clahe", 2.0)
    assert not reports


@pytest.mark.parametrize(
    ("value", "name"), [(0, "none"), (1.0, "percentile"), (2, "clahe"), ("percentile", "percentile")]
)
def test_contrast_is_a_name_or_a_number(value: object, name: str, client, control: OscControl, translator) -> None:
    translator.controls = LiveControls(stretch="clahe", zoom=3.0)
    client.send_message("/contrast", value)
    control.apply(translator)
    assert settings(translator) == (0.5, name, 3.0)


@pytest.mark.parametrize(
    ("address", "value", "reason"),
    [
        ("/smoothing", 1.0, "less than 1"),
        ("/smoothing", -0.1, "expected 0"),
        ("/smoothing", float("nan"), "expected 0"),
        ("/smoothing", "much", "'much': send one number"),
        ("/smoothing", True, "True: send one number"),
        ("/zoom", 8.5, "less than or equal to 8"),
        ("/zoom", 0.0, "greater than or equal to 0.25"),
        ("/zoom", float("inf"), "/zoom"),
        ("/zoom", float("nan"), "/zoom"),
        ("/zoom", [1.0, 2.0], "2 values"),
        ("/zoom", [], "0 values"),
        ("/contrast", "loud", "one of none, percentile, clahe"),
        ("/contrast", 3, "0 to 2"),
        ("/contrast", 0.5, "0 to 2"),
        ("/contrast", -1, "0 to 2"),
        ("/contrast", False, "0 to 2"),
        ("/volume", 1.0, "/volume: unknown address; send /smoothing, /contrast, /zoom"),
        ("/zoom*", 1.0, "unknown address"),
        ("/contrast", "\x1b[2J\nforged", "\\x1b"),
    ],
)
def test_a_wrong_value_or_address_is_reported_in_one_line_and_changes_nothing(
    address: str, value: object, reason: str, client, control: OscControl, translator, reports: list[str]
) -> None:
    before = settings(translator)
    client.send_message(address, value)
    control.apply(translator)
    assert settings(translator) == before
    (report,) = reports
    assert report.startswith("OSC: ")
    assert reason in report
    assert report.isprintable()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_malformed_datagram_is_reported_and_the_next_message_is_applied(
    name: str, control: OscControl, translator, reports: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    send(control, HOSTILE[name], ZOOM)
    control.apply(translator)
    assert settings(translator) == (0.5, "none", 2.0)
    assert len(reports) == 1
    assert not caplog.records  # python-osc logs what it does not know


@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda tail: ZOOM[: len(tail) % 20] + tail))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    for content in (data, bundle(data), bundle() + data):
        try:
            for found in unpack(content):
                address, values = parse(found)
                assert address.startswith("/")
                assert all(isinstance(value, (int, float, str, bool)) for value in values)
        except OscError:
            pass


def test_bundles_are_taken_apart_as_python_osc_builds_them(control: OscControl, translator, reports: list[str]) -> None:
    inner, outer = OscBundleBuilder(IMMEDIATELY), OscBundleBuilder(IMMEDIATELY)
    for builder, address, value in ((inner, "/zoom", 4.0), (inner, "/contrast", "clahe"), (outer, "/smoothing", 0.125)):
        part = OscMessageBuilder(address)
        part.add_arg(value)
        builder.add_content(part.build())
    outer.add_content(inner.build())
    send(control, outer.build().dgram)
    control.apply(translator)
    assert settings(translator) == (0.125, "clahe", 4.0)
    assert not reports


def test_a_bundle_for_next_year_is_applied_now_and_its_errors_do_not_affect_its_neighbors(
    control: OscControl, translator, reports: list[str]
) -> None:
    contents = (message("/smoothing", 0.0), message("/zoom", 99.0), message("/contrast", "percentile"))
    send(control, bundle(*contents, time_tag=2**63))
    control.apply(translator)
    assert settings(translator) == (0.0, "percentile", 1.0)
    assert len(reports) == 1


def test_a_flood_is_read_in_parts(control: OscControl, translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osc, "MAX_MESSAGES", 10)
    zooms = [message("/zoom", 1.0 + number / 8) for number in range(1, 32)]
    send(control, *zooms[:15], bundle(*zooms[15:23]), *zooms[23:])
    for last in (10, 23, 31):
        control.apply(translator)
        assert translator.controls.zoom == 1.0 + last / 8


def test_reports_come_at_most_once_a_second_and_count_the_others(
    control: OscControl, translator, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(osc, "QUIET", 1.0)
    monkeypatch.setattr(osc.time, "monotonic", lambda: now[0])
    send(control, *[b"noise"] * 20, message("/volume", 1.0))
    control.apply(translator)
    assert len(reports) == 1
    now[0] += 0.9
    control.apply(translator)
    assert len(reports) == 1
    now[0] += 0.2
    control.apply(translator)
    assert len(reports) == 2
    assert "/volume" in reports[1]
    assert "19 other wrong messages" not in reports[0]
    assert "and 19 other wrong messages" in reports[1]
    now[0] += 5.0
    control.apply(translator)
    assert len(reports) == 2


def test_the_same_value_again_does_not_measure_the_picture_anew(client, control: OscControl, translator) -> None:
    translator.controls = LiveControls(zoom=2.0)
    before = translator.controls
    client.send_message("/zoom", 2.0)
    control.apply(translator)
    assert translator.controls is before


def test_a_model_that_reads_colors_has_only_smoothing(
    client, control: OscControl, color_translator, reports: list[str]
) -> None:
    client.send_message("/zoom", 2.0)
    client.send_message("/smoothing", 0.75)
    control.apply(color_translator)
    assert settings(color_translator) == (0.75, "none", 1.0)
    assert "only /smoothing has an effect" in reports[0]


def test_only_this_machine_is_listened_to_by_default(command: list[str], device, monkeypatch, capsys) -> None:
    opened = []
    enter = OscControl.__enter__
    monkeypatch.setattr(
        OscControl, "__enter__", lambda self: (enter(self), opened.append(self._socket.getsockname()))[0]
    )
    assert main([*command, "--out", "virtualcam", "--osc", "0"]) == 130
    ((host, port),) = opened
    assert host == "127.0.0.1"
    assert f"listening for OSC on 127.0.0.1, port {port}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--osc", "-1"], "from 1 to 65535"),
        (["--osc", "65536"], "from 1 to 65535"),
        (["--osc", "9000", "--osc-host", "no.such.host.invalid"], "cannot listen at no.such.host.invalid"),
        (["--osc", "9000", "--osc-host", "a" * 70 + ".b"], "cannot listen at"),
        (["--osc", "9000", "--osc-host", ""], "cannot listen at"),
    ],
)
def test_an_unusable_port_or_host_is_refused_in_one_line(
    options: list[str], reason: str, command: list[str], device, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--out", "virtualcam", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line
    assert not device.frames


def test_a_port_in_use_is_refused_and_the_device_closed(
    control: OscControl, command: list[str], device, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--out", "virtualcam", "--osc", str(control.port)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--osc {control.port}: cannot listen at 127.0.0.1" in line
    assert device.closed == 1


def test_the_show_goes_on_through_good_and_bad_messages(
    command: list[str],
    device,
    interrupt: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    controls: list[OscControl] = []
    enter = OscControl.__enter__
    monkeypatch.setattr(OscControl, "__enter__", lambda self: (controls.append(self), enter(self))[1])
    monkeypatch.setattr(osc, "QUIET", 0.0)
    seen: list[tuple[float, str, float]] = []
    translate = FrameTranslator.__call__

    def watch(self: FrameTranslator, frames: torch.Tensor) -> torch.Tensor:
        seen.append(settings(self))
        return translate(self, frames)

    def act(number: int) -> None:
        if number == 2:
            send(controls[0], message("/smoothing", 0.25), message("/contrast", 1), message("/zoom", 2.0))
        elif number == 4:
            send(controls[0], *HOSTILE.values(), message("/zoom", 99.0), message("/volume", 1.0))
        elif number == 6:
            send(controls[0], message("/zoom", 3.0))
        elif number == 8:
            interrupt()

    monkeypatch.setattr(FrameTranslator, "__call__", watch)
    device.on_frame = act
    assert main([*command, "--out", "virtualcam", "--osc", "0"]) == 130
    assert len(device.frames) == 8
    # seen[0] is the frame that warms up, so frame n is seen[n].
    assert seen[2] == (0.5, "none", 1.0)
    assert seen[3:7] == [(0.25, "percentile", 2.0)] * 4
    assert seen[7:9] == [(0.25, "percentile", 3.0)] * 2
    *notes, last = capsys.readouterr().err.splitlines()
    assert last == "interrupted"
    assert len(notes) == len(HOSTILE) + 2
    assert all(note.startswith("note: OSC: ") for note in notes)
    assert controls[0]._socket is None
