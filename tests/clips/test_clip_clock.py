"""Clocks of clips that cannot be trusted, packet by packet; whole clips are in test_clip_file.py."""

from fractions import Fraction
from types import SimpleNamespace

import pytest

from ageing.clips.clip_clock import Clock


def seconds(packets, jumps=True):
    """The times that a Clock gives to packets of a second, [(stream, time, or None)]."""
    clock, found = Clock(jumps), []
    for kind, time in packets:
        stamp, index = None if time is None else 1000 * time, ("video", "audio", "subtitle").index(kind)
        packet = SimpleNamespace(stream=SimpleNamespace(type=kind), stream_index=index, pts=stamp, dts=stamp,
                                 duration=1000, time_base=Fraction(1, 1000))
        clock.set(packet)
        found.append(None if packet.pts is None else packet.pts / 1000)
    return found


@pytest.mark.parametrize("times", [range(40), [0, 1, 2, 9, 10], [0, 1, 1, 2]])
def test_a_clock_that_runs_is_left_alone(times):
    assert seconds([("video", time) for time in times]) == list(times)


def test_streams_jump_together_although_one_is_late():
    before = [("video", 0), ("audio", 0), ("video", 1), ("audio", 1)]
    for start in (0, 5000):
        after = [("video", start), ("audio", 2), ("audio", start), ("video", start + 1), ("audio", start + 1)]
        assert seconds(before + after) == [0, 0, 1, 1, 2, 2, 2, 3, 3]


def test_sound_that_pauses_and_rare_subtitles_are_no_jump():
    video = [("video", time) for time in range(60)]
    packets = [("audio", 0), ("subtitle", 0), *video, ("audio", 59), ("subtitle", 50)]
    assert seconds(packets) == [time for _, time in packets]


def test_subtitles_and_sound_without_a_time_follow():
    packets = [("video", 50), ("audio", 50), ("audio", None), ("video", 0), ("subtitle", 0)]
    assert seconds(packets) == [50, 50, 51, 52, 52]
    assert seconds([("video", None), ("audio", None)]) == [None, None]


def test_a_gap_elsewhere_stays_unless_it_lasts_for_days():
    assert seconds([("video", 0), ("video", 7200)], jumps=False) == [0, 7200]
    assert seconds([("video", 0), ("video", 10 ** 6), ("video", 1)], jumps=False) == [0, 1, 2]
