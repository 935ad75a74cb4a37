"""Clips in and out: size, times, rotation, colour, sound, metadata; damaged and odd ones."""

import base64
import io
import itertools
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import sample_clips
from conftest import Stub
from PIL import Image

import infer_faces
from ageing.clips import clip_colour, clip_file
from ageing.clips.clip_file import CODECS, EDITED_MARK, Clip, Writer
from ageing.clips.video import notes_on
from ageing.errors import UserError
from ageing.faces.alignment import Placement
from ageing.faces.blending import Change

# A face in the upright picture, and what is added to it.
FACE = Placement(np.array([[32.0, 0, 24], [0, 32.0, 8]]))
GREY = 40
STATM = Path("/proc/self/statm")
DEEP = {"codec": "libx265", "pixel_format": "yuv420p10le", "options": {"x265-params": "log-level=none"}}


def copied(path, out=None, codec=None, changes=False):
    """(path of the copy, its Clip)."""
    out = out or path.with_name(f"{path.stem}_out{clip_file.target_suffix(path, codec)}")
    change = [Change(FACE, Stub(GREY).change(np.zeros((16, 16, 3))))] if changes else []
    with Clip(path) as clip, Writer(out, clip, clip_file.codec_of(clip, codec)) as writer:
        for item in clip:
            if isinstance(item, av.Packet):
                writer.copy(item)
            else:
                writer.write(item, change, 1.0)
    return out, clip


def stream_of(path):
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return video.codec_context.name, video.codec_context.pix_fmt, (video.width, video.height), video.average_rate


def heard(path):
    """What is heard of a clip: name of the codec, the wave, and when it begins after the picture."""
    with av.open(str(path)) as container:
        voice = container.streams.audio[0]
        frames = list(container.decode(voice))
        to_float = av.AudioResampler("fltp", "mono", 48000)
        wave = np.concatenate([part.to_ndarray()[0] for frame in frames for part in to_float.resample(frame)])
        begin = float(frames[0].pts * frames[0].time_base) - times(path)[0]
        return SimpleNamespace(name=voice.codec_context.codec.canonical_name, wave=wave, begin=begin)


def times(path):
    return [time for time, _ in sample_clips.read(path)[0]]


def test_a_copy_has_the_same_size_rate_length_and_sound(tmp_path):
    source = sample_clips.write(tmp_path / "a.mp4", sample_clips.pictures(20), sound="aac")
    out, clip = copied(source)
    assert stream_of(out) == ("h264", "yuv420p", (96, 64), 25)
    assert times(out) == times(source)
    assert sample_clips.packets(out) == sample_clips.packets(source)
    assert len(sample_clips.packets(out)) > 10
    assert (clip.size, clip.frames, clip.seconds) == ((96, 64), 20, pytest.approx(0.8, abs=0.05))
    assert clip.notes == []
    for (_, before), (_, after) in zip(*(sample_clips.read(path)[0] for path in (source, out)), strict=True):
        assert np.abs(sample_clips.rgb(before).astype(int) - sample_clips.rgb(after)).mean() < 2


def test_variable_frame_rates_keep_their_times(tmp_path):
    moments = [0, 10, 25, 26, 80, 100, 101, 140, 200, 240]
    for name in ("a.mp4", "a.mkv"):
        source = sample_clips.write(tmp_path / name, sample_clips.pictures(10), times=moments,
                                    time_base=Fraction(1, 1000))
        out, _ = copied(source)
        assert times(out) == pytest.approx([moment / 1000 for moment in moments])
        with av.open(str(source)) as one, av.open(str(out)) as other:
            assert one.duration == pytest.approx(other.duration, abs=2000)  # microseconds


TURNS = [(0, False), (90, False), (180, False), (-90, False), (0, True), (90, True)]


@pytest.mark.parametrize(("turn", "mirror"), TURNS)
def test_rotation_is_kept_and_the_picture_is_upright(tmp_path, turn, mirror):
    source = sample_clips.write(tmp_path / "a.mov", sample_clips.pictures(3), turn=turn, mirror=mirror)
    stored = sample_clips.rgb(sample_clips.read(source)[0][0][1])
    shown = np.rot90(stored[:, ::-1] if mirror and not turn else stored, turn // 90)
    with Clip(source) as clip:
        upright = clip.rgb(clip.first)
        if not (mirror and turn):
            assert np.abs(upright.astype(int) - shown).mean() < 1
        assert upright.shape[:2] == clip.size[::-1]
    out, _ = copied(source, changes=True)
    matrices = [clip_file.display_matrix_of(sample_clips.read(path)[0][0][1]) for path in (source, out)]
    assert matrices[0] == matrices[1]
    with Clip(out) as after:  # the change lies where the upright picture has the face
        change = after.rgb(after.first).astype(int) - upright
    middle, corner = change[16:32, 34:46], change[45:, 60:] if turn % 180 == 0 else change[60:, 45:]
    assert 30 < middle.mean() < 45
    assert np.abs(corner).mean() < 3


def test_places_are_taken_to_the_stored_frame_and_back(tmp_path):
    source = sample_clips.write(tmp_path / "a.mov", sample_clips.pictures(2), turn=-90, shape=Fraction(4, 3))
    with Clip(source) as clip:
        assert clip.size == (64, 128)
        stored = clip.to_stored(Placement(np.array([[10.0, 0, 3], [0, 10.0, 5]])))
        # Stored right is shown down, stretched by 4/3; stored down is shown left.
        np.testing.assert_allclose(stored.corners[0], (5 * 3 / 4, 64 - 3))
        np.testing.assert_allclose(stored.corners[2], (15 * 3 / 4, 64 - 13))


def test_pixels_that_are_not_square(tmp_path):
    source = sample_clips.write(tmp_path / "a.mp4", sample_clips.pictures(3), shape=Fraction(64, 45))
    out, clip = copied(source)
    assert clip.size == (137, 64)
    with av.open(str(out)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(64, 45)


@pytest.mark.parametrize(("matrix", "full"), [(1, False), (6, False), (1, True), (6, True)])
def test_matrix_and_range_are_kept(tmp_path, matrix, full):
    source = sample_clips.write(tmp_path / "a.mp4", sample_clips.pictures(3), matrix=matrix, full=full)
    out, clip = copied(source)
    first, second = (sample_clips.read(path)[0][0][1] for path in (source, out))
    assert (clip.colour.matrix, clip.colour.full) == (matrix, full)
    assert (first.colorspace, first.color_range == 2) == (second.colorspace, second.color_range == 2) == (matrix, full)
    for before, after in zip(*map(clip_colour.planes_of, (first, second)), strict=True):
        assert abs(before.astype(int).mean() - after.mean()) < 0.5


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_without_loss_nothing_outside_of_the_face_changes(tmp_path, name):
    source = sample_clips.write(tmp_path / name, sample_clips.pictures(4), matrix=1)
    out, _ = copied(source, codec="ffv1", changes=True)
    for (_, before), (_, after) in zip(*(sample_clips.read(path)[0] for path in (source, out)), strict=True):
        for one, other in zip(*map(clip_colour.planes_of, (before, after)), strict=True):
            change = one.astype(int) - other
            width = change.shape[1]
            assert not change[:, :width // 4 - 1].any()
            assert not change[:, width * 7 // 12 + 2:].any()
        assert (clip_colour.planes_of(after)[0][16:32, 34:46].astype(int)
                - clip_colour.planes_of(before)[0][16:32, 34:46]).mean() == pytest.approx(GREY * 219 / 255, abs=0.5)


@pytest.mark.parametrize(("width", "height"), [(97, 65), (96, 65), (97, 64)])
def test_odd_sizes_are_kept(tmp_path, width, height):
    source = sample_clips.write(tmp_path / "a.mkv", sample_clips.pictures(3, width, height), codec="ffv1")
    out, _ = copied(source, changes=True)
    assert stream_of(out)[:3] == ("h264", "yuv444p", (width, height))
    out, _ = copied(source, tmp_path / "a.webm", codec="vp9")
    assert stream_of(out)[1:3] == ("yuv420p", (width, height))


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_that_is_offered(tmp_path, capfd, codec):
    source = sample_clips.write(tmp_path / "a.mp4", sample_clips.pictures(5), sound="aac")
    out, _ = copied(source, codec=codec, changes=True)
    assert out.suffix in CODECS[codec].suffixes
    assert stream_of(out)[0] == {"av1": "libdav1d"}.get(codec, codec)
    assert np.diff(times(out)) == pytest.approx(np.diff(times(source)), abs=1e-3)
    assert [data for _, data in sample_clips.packets(out)] == [data for _, data in sample_clips.packets(source)]
    assert clip_file.is_marked(out)
    before, after = (sample_clips.rgb(sample_clips.read(path)[0][2][1]).astype(int) for path in (source, out))
    assert 25 < (after - before)[16:32, 34:46].mean() < 45
    assert np.abs((after - before)[:, 65:]).mean() < 4
    assert capfd.readouterr() == ("", "")   # encoders are silent


def test_the_command_line_offers_the_codecs():
    assert tuple(CODECS) == infer_faces.CODECS


@pytest.mark.parametrize("transfer", [clip_colour.PQ, clip_colour.HLG])
def test_hdr_keeps_its_ten_bits_and_tags(tmp_path, transfer):
    dark = [picture // 2 for picture in sample_clips.pictures(3)]
    source = sample_clips.write(tmp_path / "a.mp4", dark, matrix=9, transfer=transfer, **DEEP)
    out, clip = copied(source, changes=True)
    assert clip.colour.is_hdr
    assert stream_of(out)[:2] == ("hevc", "yuv420p10le")
    second = sample_clips.read(out)[0][0][1]
    assert (second.colorspace, second.color_trc, second.color_primaries) == (9, transfer, 9)
    with Clip(source) as one, Clip(out) as other:
        change = other.rgb(other.first).astype(int) - one.rgb(one.first)
    assert 30 < change[16:32, 34:46].mean() < 50
    assert np.abs(change[:, 65:]).mean() < 3
    with Clip(source) as clip, pytest.raises(UserError, match="HDR needs 10 bits, but h264 is written with 8: use"):
        clip_file.codec_of(clip, "h264")


def test_metadata_of_hdr10_that_are_lost_are_told(tmp_path):
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    options = {"x265-params": f"log-level=none:master-display={display}:max-cll=1000,400:hdr10=1:repeat-headers=1"}
    source = sample_clips.write(tmp_path / "a.mp4", sample_clips.pictures(3), matrix=9, transfer=clip_colour.PQ,
                                **DEEP | {"options": options})
    _, clip = copied(source)
    assert clip.notes == ["not kept: its HDR10 or Dolby Vision metadata"]


def test_ten_bits_stay_unless_the_codec_has_eight(tmp_path):
    source = sample_clips.write(tmp_path / "a.mp4", sample_clips.pictures(3), **DEEP)
    out, clip = copied(source)
    assert stream_of(out)[:2] == ("hevc", "yuv420p10le")
    assert clip.notes == []
    out, clip = copied(source, codec="h264")
    assert stream_of(out)[:2] == ("h264", "yuv420p")
    assert clip.notes == ["its 10 bits or more became 8"]


@pytest.mark.parametrize(("name", "options", "suffix"), [
    ("a.webm", {"codec": "libvpx-vp9", "sound": "libopus"}, ".mp4"),
    ("a.avi", {"codec": "mjpeg", "pixel_format": "yuvj422p", "full": True, "sound": "mp2"}, ".mkv"),
    ("a.avi", {"codec": "rawvideo", "pixel_format": "bgr24", "sound": "pcm_s16le"}, ".mov"),
    ("a.mkv", {"codec": "ffv1", "pixel_format": "gray"}, ".mkv"),
    ("a.MOV", {"codec": "prores_ks", "pixel_format": "yuv422p10le", "sound": "pcm_s16le"}, ".MOV"),
    ("a.ts", {"sound": "aac", "start": 7}, ".mp4"),
])
def test_other_containers_and_pixels(tmp_path, name, options, suffix):
    source = sample_clips.write(tmp_path / name, sample_clips.pictures(5), **options)
    out, _ = copied(source, changes=True)
    assert out.suffix == suffix
    assert stream_of(out)[2] == (96, 64)
    assert np.diff(times(out)) == pytest.approx(0.04, abs=1e-3)
    assert times(out)[0] < 0.1   # also if the clip's clock began elsewhere
    before, after = (sample_clips.rgb(sample_clips.read(path)[0][2][1]).astype(int) for path in (source, out))
    assert 28 < (after - before)[16:32, 34:46].mean() < 46
    assert np.abs((after - before)[:, 65:].mean((0, 1))).max() < 2.5
    if "sound" in options:
        assert len(sample_clips.packets(out)) == len(sample_clips.packets(source))
        assert sample_clips.packets(out)[0][0] - times(out)[0] == pytest.approx(
            sample_clips.packets(source)[0][0] - times(source)[0], abs=0.002)


def test_the_mark_stands_before_what_stood_there(tmp_path):
    tags = {"title": "A walk", "comment": "by the sea", "creation_time": "2026-11-24T12:00:00.000000Z"}
    for name in ("a.mp4", "a.mov", "a.mkv", "a.webm"):
        codec = "libvpx-vp9" if name == "a.webm" else "libx264"
        source = sample_clips.write(tmp_path / name, sample_clips.pictures(2), metadata=tags, codec=codec)
        assert not clip_file.is_marked(source)
        out, _ = copied(source, source.with_name(f"out_{name}"), codec="vp9" if name == "a.webm" else None)
        assert clip_file.is_marked(out)
        with av.open(str(out)) as container:
            found = {key.lower(): value for key, value in container.metadata.items()}
        assert found["comment"] == f"{EDITED_MARK}; before: by the sea"
        assert found["title"] == "A walk"
        if name != "a.webm":
            assert found["creation_time"].startswith("2026-11-24T12:00:00")
    assert clip_file.with_mark(clip_file.with_mark({})) == clip_file.with_mark({}) == {"comment": EDITED_MARK}


def test_a_phone_s_own_tags_are_kept(tmp_path):
    source = tmp_path / "a.mov"
    with av.open(str(source), "w", options={"movflags": "use_metadata_tags"}) as out:
        out.metadata["com.apple.quicktime.make"] = "Camera & Sons"
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height = 96, 64
        out.mux(stream.encode(av.VideoFrame.from_ndarray(sample_clips.picture())))
        out.mux(stream.encode())
    out, _ = copied(source)
    assert clip_file.is_marked(out)
    with av.open(str(out)) as container:
        assert container.metadata["com.apple.quicktime.make"] == "Camera & Sons"


def test_faults_in_one_line(tmp_path):
    good = sample_clips.write(tmp_path / "good.mp4", sample_clips.pictures(10), sound="aac")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no clip " * 100)
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[:2000])    # its index stood at the end
    (tmp_path / "folder.mp4").mkdir()
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        for packet in sample_clips.sound_packets(sample_clips.add_sound(out, "aac"), 1):
            out.mux(packet)
    for name, fault in (("missing.mp4", "no such file"), ("empty.mp4", "an empty file"), ("folder.mp4", "not a file"),
                        ("text.mp4", "a damaged clip, or none that can be read here"),
                        ("cut.mp4", "a damaged clip, or none that can be read here"),
                        ("sound.mp4", "no video in it, only audio")):
        with pytest.raises(UserError, match=f"{name}: {fault}") as error, Clip(tmp_path / name):
            pass
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="96 x 64 pixels a frame; more than 0.001 megapixels are read with --max-meg"):
        Clip(good, megapixels=0.001)


def test_a_cover_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as out:
        voice = sample_clips.add_sound(out, "aac")
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        for packet in sample_clips.sound_packets(voice, 1):
            out.mux(packet)
        out.mux(cover.encode(av.VideoFrame.from_ndarray(sample_clips.picture())))
        out.mux(cover.encode())
    with pytest.raises(UserError, match="song.mp4: no video in it"):
        Clip(path)


def test_damage_in_the_middle_is_left_out_and_counted(tmp_path):
    source = sample_clips.write(tmp_path / "a.mkv", sample_clips.pictures(40), codec="mjpeg", pixel_format="yuvj420p",
                                full=True)
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle:middle + 3000] = b"\xa5" * 3000
    source.write_bytes(data)
    out, clip = copied(source)
    assert clip.damaged
    assert 20 < len(times(out)) < 41
    (tmp_path / "cut.mkv").write_bytes(data[:middle])
    out, _ = copied(tmp_path / "cut.mkv")
    assert 10 < len(times(out)) < 25


def test_frames_that_cannot_be_decoded(tmp_path):
    good = sample_clips.write(tmp_path / "good.mkv", sample_clips.pictures(3))
    with av.open(str(good)) as one, av.open(str(tmp_path / "a.mkv"), "w") as out:
        video = out.add_stream_from_template(one.streams.video[0])
        for packet in one.demux(video=0):
            if packet.size:
                zeros = av.Packet(bytes(packet.size))
                zeros.pts, zeros.dts, zeros.time_base, zeros.stream = packet.pts, packet.dts, packet.time_base, video
                out.mux(zeros)
    with pytest.raises(UserError, match="a.mkv: a damaged clip: none of its frames can be read"):
        Clip(tmp_path / "a.mkv")


def test_what_a_container_cannot_hold_is_an_error(tmp_path):
    with pytest.raises(UserError, match="out.gif: clips are written as .mp4, .m4v, .mov, .mkv"):
        clip_file.check_suffix(tmp_path / "out.gif", None)
    with pytest.raises(UserError, match="out.mp4: clips are written as .mkv with --codec ffv1"):
        clip_file.check_suffix(tmp_path / "out.mp4", "ffv1")


def test_no_picture_in_the_metadata_is_kept(tmp_path):
    Image.fromarray(sample_clips.picture()).save(file := io.BytesIO(), "JPEG")
    text = base64.b64encode(file.getvalue()).decode()
    plain = sample_clips.write(tmp_path / "plain.mkv", sample_clips.pictures(5), sound="aac")
    source = tmp_path / "a.mkv"
    with av.open(str(plain)) as one, av.open(str(source), "w") as out:
        out.metadata.update({"THUMBNAIL": text, "comment": text, "title": "A walk"})
        out.set_chapters([{"id": 1, "start": 0, "end": 100, "time_base": Fraction(1, 1000),
                           "metadata": {"COVER": text}}])
        copies = {stream: out.add_stream_from_template(stream, opaque=True) for stream in one.streams}
        for copy in copies.values():
            copy.metadata.update({"title": text, "language": "eng"})
        for packet in one.demux():
            if packet.size:
                packet.stream = copies[packet.stream]
                out.mux(packet)
    assert source.read_bytes().count(text[:60].encode()) == 5
    out, clip = copied(source)
    assert text[:60].encode() not in out.read_bytes()
    assert notes_on(clip) == ["not kept: metadata with a picture inside"]
    with av.open(str(out)) as container:
        assert (container.metadata["title"], container.streams.audio[0].metadata["language"]) == ("A walk", "eng")


def test_subtitles_and_chapters_are_kept(tmp_path):
    plain = sample_clips.write(tmp_path / "plain.mkv", sample_clips.pictures(25))
    (tmp_path / "a.srt").write_text("1\n00:00:00,200 --> 00:00:00,800\nBy the sea\n")
    source = tmp_path / "a.mkv"
    with av.open(str(plain)) as one, av.open(str(tmp_path / "a.srt")) as texts, av.open(str(source), "w") as out:
        copies = {stream: out.add_stream_from_template(stream, opaque=True)
                  for stream in (one.streams.video[0], texts.streams.subtitles[0])}
        out.set_chapters([{"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000),
                           "metadata": {"title": "Beginning"}}])
        for container in (texts, one):
            for packet in container.demux():
                if packet.size:
                    packet.stream = copies[packet.stream]
                    out.mux(packet)
    out, clip = copied(source)
    assert clip.notes == []
    assert sample_clips.packets(out, "subtitles") == sample_clips.packets(source, "subtitles") == [(0.2, b"By the sea")]
    with av.open(str(out)) as container:
        assert container.chapters()[0]["metadata"]["title"] == "Beginning"


# The clocks of recordings of 2 seconds that were joined: it starts anew, or an hour later, or both.
@pytest.mark.parametrize("starts", [(0, 0), (7, 3607), (3600, 0, 0, 3600), (0, 16)])
@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_joined_recordings_become_one_with_the_sound_in_step(tmp_path, starts, codec):
    parts = [sample_clips.write(tmp_path / "a.ts", sample_clips.pictures(50), codec=codec, sound="aac", start=start
                                ).read_bytes() for start in starts]
    source = tmp_path / "joined.MTS"
    source.write_bytes(b"".join(parts))
    out, clip = copied(source)
    assert notes_on(clip)[-1].startswith(f"its clock jumped {'once' if len(starts) == 2 else '3 times'}")
    assert len(times(out)) == 50 * len(starts)
    assert times(out)[-1] == pytest.approx(2 * len(starts), abs=0.3)
    assert np.diff(times(out)).max() < 0.25
    sound = [time for time, _ in sample_clips.packets(out)]
    assert np.diff(sound).max() < 0.25
    assert sound[-1] == pytest.approx(times(out)[-1], abs=0.25)


def muxed(path, source, change):
    """A copy of the clip `source`, with change(n, packet) made to each packet of sound before it is written."""
    with av.open(str(source)) as one, av.open(str(path), "w") as out:
        copies = {stream: out.add_stream_from_template(stream, opaque=True) for stream in one.streams}
        counts = itertools.count()
        for packet in one.demux():
            if packet.size:
                if packet.stream.type == "audio":
                    change(next(counts), packet)
                packet.stream = copies[packet.stream]
                out.mux(packet)
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.flv"])
def test_sound_packets_with_one_time_stop_nothing(tmp_path, name):
    def twice(n, packet):
        packet.pts = packet.dts = packet.pts // 4096 * 4096

    plain = sample_clips.write(tmp_path / "a.mp4", sample_clips.pictures(25), sound="aac")
    source = muxed(tmp_path / name, plain, twice)
    out, clip = copied(source, tmp_path / "out.mp4")
    assert clip.notes == []
    assert len(times(out)) == 25
    for (moment, data), (moved, same) in zip(*map(sample_clips.packets, (source, out)), strict=True):
        assert data == same
        assert moved == pytest.approx(moment, abs=0.1)


def test_a_packet_that_cannot_be_written_is_left_out_and_counted(tmp_path, monkeypatch):
    source = sample_clips.write(tmp_path / "a.mkv", sample_clips.pictures(25), sound="aac")
    calls, write = itertools.count(), clip_file.Rising.set

    def bad(self, packet):
        write(self, packet)
        if packet.stream.type == "audio" and next(calls) == 5:
            packet.pts = packet.dts - 1000

    monkeypatch.setattr(clip_file.Rising, "set", bad)
    out, clip = copied(source, tmp_path / "out.mp4")
    assert clip.damaged == 1
    assert len(times(out)) == 25
    assert len(sample_clips.packets(out)) == len(sample_clips.packets(source)) - 1


@pytest.mark.parametrize(("name", "sound", "suffix", "codec"), [
    ("a.asf", "wmav2", ".mp4", "aac"),
    ("a.avi", "adpcm_ms", ".mp4", "aac"),
    ("a.m2ts", "pcm_bluray", ".mp4", "aac"),
    ("a.mov", "pcm_alaw", ".mov", "pcm_alaw"),
    ("a.avi", "libmp3lame", ".mp4", "mp3"),
    ("a.webm", "libopus", ".mp4", "opus"),
])
def test_all_sound_is_kept_as_it_is_or_encoded_anew(tmp_path, name, sound, suffix, codec):
    source = sample_clips.write(tmp_path / name, sample_clips.pictures(50), sound=sound,
                                form={"a.m2ts": "mpegts"}.get(name), codec={"a.webm": "libvpx-vp9"}.get(name, "mpeg4"))
    out, clip = copied(source)
    assert out.suffix == suffix
    before, after = heard(source), heard(out)
    assert after.name == codec
    if codec == "aac":
        assert clip.notes == [f"its sound ({before.name}) was encoded anew (aac)"]
    else:
        assert clip.notes == []
        assert [data for _, data in sample_clips.packets(out)] == [data for _, data in sample_clips.packets(source)]
    assert len(after.wave) == pytest.approx(len(before.wave), abs=4096)
    waves = [one.wave[10_000:60_000] for one in (before, after)]
    assert waves[1].std() == pytest.approx(waves[0].std(), rel=0.05)
    tones = [np.abs(np.fft.rfft(wave)).argmax() for wave in waves]
    assert tones[0] == pytest.approx(tones[1], abs=1)
    assert after.begin == pytest.approx(before.begin, abs=0.06)


def test_sound_is_encoded_anew_for_the_container_that_was_asked_for(tmp_path):
    source = sample_clips.write(tmp_path / "a.mkv", sample_clips.pictures(25), sound="pcm_s16le")
    out, clip = copied(source, tmp_path / "out.webm", codec="vp9")
    assert clip.notes == ["its sound (pcm_s16le) was encoded anew (opus)"]
    assert len(heard(out).wave) == pytest.approx(48000, abs=4096)


CLEAR = np.dstack([sample_clips.picture(), np.full((64, 96), 255, np.uint8)])
CLEAR[:, 60:, 3] = 0


@pytest.mark.parametrize(("name", "codec", "pixel_format"), [
    ("a.mov", "prores_ks", "yuva444p10le"), ("a.webm", "libvpx-vp9", "yuva420p"), ("a.webm", "libvpx", "yuva420p"),
    ("a.mov", "qtrle", "argb"), ("a.mkv", "ffv1", "yuva420p")])
def test_transparency_is_kept_where_the_codec_can_and_else_told(tmp_path, name, codec, pixel_format):
    frames = [av.VideoFrame.from_ndarray(CLEAR, format="rgba")] * 3
    source = sample_clips.write(tmp_path / name, frames, codec=codec, pixel_format=pixel_format,
                                options={"auto-alt-ref": "0"} if codec == "libvpx" else None)
    for target, kept in (("prores", True), ("ffv1", True), ("vp9", True), ("h264", False), ("hevc", False)):
        suffix = ".webm" if target == "vp9" else None
        out, clip = copied(source, suffix and tmp_path / f"out{suffix}", target, changes=True)
        told = [note for note in clip.notes if "transparency" in note]
        assert told == [] if kept else told == [
            "its transparency is not kept, what it hid is shown (--codec prores, ffv1 keep it, vp9 in .webm and .mkv)"]
        with Clip(out) as after:
            assert after.clear == kept
            if kept:
                alpha = after.first.to_ndarray(format="rgba")[..., 3]
                assert np.abs(alpha.astype(int) - CLEAR[..., 3])[:, np.r_[:56, 64:96]].max() < 20
                assert 20 < after.rgb(after.first)[20:28, 36:44].mean() - clip.rgb(clip.first)[20:28, 36:44].mean() < 45


@pytest.mark.skipif(not STATM.exists(), reason="how much memory a process uses is asked of Linux")
def test_memory_does_not_grow_with_the_length(tmp_path):
    def pages():
        return int(STATM.read_text().split()[1])

    moving = sample_clips.pictures(30, 480, 360)
    source = sample_clips.write(tmp_path / "a.mp4", moving * 11, sound="aac", options={"preset": "ultrafast"})
    used = []
    with Clip(source) as clip, Writer(tmp_path / "out.mp4", clip, CODECS["h264"]) as writer:
        for item in clip:
            if isinstance(item, av.Packet):
                writer.copy(item)
            else:
                writer.write(item, [], 1.0)
                used.append(pages())
    assert len(used) == 330
    assert (used[-1] - used[80]) * 4096 < 20e6   # these 250 frames hold 65 MB
