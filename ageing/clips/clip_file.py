"""Read a clip frame by frame, and write an edited copy of it: same size, times, rotation, colour tags, sound.

    with Clip("clip.mp4") as clip, Writer("clip_50s.mp4", clip, codec) as writer:
        for item in clip:
            writer.copy(item) if isinstance(item, Packet) else writer.write(item, changes, strength)

Every file that is written says in its metadata that faces in it were edited. Files are read and written by PyAV. Memory
does not grow with the length of the clip.
"""

import contextlib
import dataclasses
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags

from ageing.clips import clip_colour, clip_sound
from ageing.clips.clip_clock import Clock, Rising
from ageing.errors import UserError
from ageing.photos import opening
from ageing.photos.metadata import holds_picture

av.logging.set_level(None)  # what goes wrong is told as one UserError
os.environ.setdefault("SVT_LOG", "0")   # the AV1 encoder would print its settings

EDITED_MARK = "Face ageing with CycleGAN: faces in this clip were changed by a neural network"
CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
KEPT_STREAMS = "audio", "subtitle"
LOST_SIDE_DATA = {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS", "DOVI_METADATA"}
LONGEST_MARK_BEFORE = 1_000     # characters of the comment that stood in the mark's place


@dataclasses.dataclass(frozen=True)
class Codec:
    """An encoder of FFmpeg and the containers for it.

    even, odd: its pixel formats for 8 and for 10 bits, for clips with even sides and with an odd one. None: it does not
    hold 10 bits. Empty: it keeps the clip's format. clear: whether it holds transparency, which MP4 never does.
    """

    name: str
    options: dict
    even: tuple = ()
    odd: tuple = ()
    suffixes: tuple = (".mp4", ".m4v", ".mov", ".mkv")
    clear: bool = False

    @property
    def holds_10_bits(self):
        return None not in self.even

    def keeps_clear(self, clip, form):
        """Whether a copy of `clip` in a container of this form is transparent where the clip is."""
        return clip.clear and self.clear and form != "mp4"

    def pixel_format(self, clip, form):
        """The format of the frames of a copy of `clip` in a container."""
        clear, formats = self.keeps_clear(clip, form), self.odd if clip.width % 2 or clip.height % 2 else self.even
        if clear and self.name == "prores_ks":
            return "yuva444p10le"   # its only one with transparency
        if formats:
            chosen = formats[clip.deep and self.holds_10_bits]
        else:
            native = clip.first.format.name.replace("yuvj", "yuv").replace("yuva", "yuv")
            chosen = native if native in PLANAR else "yuv444p10le" if clip.deep else "yuv444p"
        return chosen.replace("yuv", "yuva") if clear else chosen


PLANAR = "yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"   # others become 4:4:4
LOW, HIGH = ("yuv420p", "yuv420p10le"), ("yuv444p", "yuv444p10le")
# What --codec offers. 4:2:0 is what players show; H.264 and HEVC hold odd sizes only in 4:4:4. x264's preset is the
# slowest that leaves time for the faces.
CODECS = {
    "h264": Codec("libx264", {"preset": "veryfast", "crf": "18"}, ("yuv420p", None), ("yuv444p", None)),
    "hevc": Codec("libx265", {"preset": "fast", "crf": "20", "x265-params": "log-level=none"}, LOW, HIGH),
    "av1": Codec("libsvtav1", {"preset": "9", "crf": "24"}, LOW, LOW, (".mp4", ".mkv", ".webm")),
    "vp9": Codec("libvpx-vp9", {"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
                 ("yuv420p", None), ("yuv420p", None), (".mp4", ".mkv", ".webm"), clear=True),
    "prores": Codec("prores_ks", {}, ("yuv422p10le",) * 2, ("yuv422p10le",) * 2, (".mov", ".mkv"), clear=True),
    "ffv1": Codec("ffv1", {"level": "3", "slices": "4"}, suffixes=(".mkv",), clear=True),
}


class Clip:
    """A clip that is read once, from its beginning to its end.

    Iterating over it gives its frames (av.VideoFrame, as they are stored) and the packets of its sound and subtitles,
    in the order of the file.

    width, height: of the stored frames. size: (width, height) of the upright picture with square pixels.
    colour: clip_colour.Colour. deep: whether it has more than 8 bits. clear: whether it has transparency.
    frames, seconds: how many and how long; guesses, or None. notes: texts on what is not read or not kept.
    damaged: how many packets could not be read or written so far.

    Raises UserError, naming the file, if it is missing, damaged, or has no video or more than `megapixels`.
    """

    def __init__(self, path, megapixels=150):
        self.path, self.notes, self.damaged = Path(path), [], 0
        self.container = opened(self.path)
        try:
            self.video = video_of(self.container, self.path)
            self.decoder = decoder_of(self.video)
            self.decoder.thread_type = "AUTO"
            self.clock = Clock(bool(self.container.format.flags & av.format.Flags.ts_discont.value))
            self.decoded = None, []     # the last packet of sound that was decoded, and its frames
            self.kept = [stream for stream in self.container.streams if stream.type in KEPT_STREAMS]
            self.before, self.items = [], self._items()     # up to the first frame, which is read here; the rest
            for item in self.items:
                self.before.append(item)
                if isinstance(item, av.VideoFrame):
                    break
            else:
                raise UserError(f"{path}: a damaged clip: none of its frames can be read")
            self._describe(item, megapixels)
        except BaseException:
            self.container.close()
            raise

    def _describe(self, frame, megapixels):
        self.width, self.height = frame.width, frame.height
        if self.width * self.height > megapixels * 1e6:
            raise UserError(f"{self.path}: {self.width} x {self.height} pixels a frame; more than {megapixels:g} "
                            "megapixels are read with --max-megapixels")
        self.first, self.colour = frame, clip_colour.of(frame, self.path)
        self.deep = max(component.bits for component in frame.format.components) > 8
        self.clear = any(component.is_alpha for component in frame.format.components)
        self.rate = self.video.average_rate or self.video.guessed_rate or Fraction(25)
        length = self.container.duration
        self.seconds = length / av.time_base if length else None
        self.frames = self.video.frames or (round(self.seconds * self.rate) if self.seconds else None)
        self.start = Fraction(self.container.start_time or 0, av.time_base)
        # An anamorphic frame is stretched to square pixels, then turned upright.
        shape = self.video.sample_aspect_ratio or self.video.codec_context.sample_aspect_ratio or 1
        self.stretched = max(1, round(self.width * shape)) if 0.1 < shape < 10 else self.width
        self.display_matrix = display_matrix_of(frame)
        self.turn = turn_of(self.display_matrix)
        self.size = (self.stretched, self.height) if self.turn[0, 0] else (self.height, self.stretched)
        others = {stream.type for stream in self.container.streams
                  if stream is not self.video and stream.type not in KEPT_STREAMS}
        if LOST_SIDE_DATA & {data.type.name for data in frame.side_data}:
            self.notes.append("not kept: its HDR10 or Dolby Vision metadata")
        if frame.interlaced_frame:
            self.notes.append("it is interlaced, but its copy does not say so")
        if others:
            self.notes.append(f"not kept: {', '.join(sorted(others))}")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.items.close()
        self.container.close()

    def __iter__(self):
        yield from self.before
        self.before = []
        yield from self.items

    def _items(self):
        """Frames and packets, frames in order with a time each. Damaged packets are left out and counted."""
        last = None
        for packet in self._packets():
            if packet.size:
                self.clock.set(packet)
            if packet.stream is not self.video:
                if packet.pts is not None or packet.dts is not None or (not packet.size and packet.stream in self.kept):
                    yield packet
                continue
            try:
                frames = self.decoder.decode(packet if packet.size else None)
            except av.error.EOFError:
                frames = []
            except av.error.FFmpegError:
                self.damaged += 1
                continue
            for frame in frames:
                frame.time_base = frame.time_base or self.video.time_base
                if last is None:
                    frame.pts = frame.pts or 0
                elif frame.pts is None:
                    frame.pts = last + max(1, round(1 / (self.rate * frame.time_base)))
                else:
                    frame.pts = max(frame.pts, last + 1)
                last = frame.pts
                yield frame

    def _packets(self):
        try:
            yield from self.container.demux([self.video, *self.kept])
        except av.error.FFmpegError:  # the file ends in the middle: what was read is kept
            self.damaged += 1
            flush = av.Packet()
            flush.stream = self.video
            yield flush

    def sound_of(self, packet):
        """[av.AudioFrame] of a packet of sound; it may be asked again, until the next one."""
        if packet is not self.decoded[0]:
            self.decoded = packet, []   # also if it cannot be decoded
            self.decoded = packet, packet.stream.codec_context.decode(packet if packet.size else None)
        return self.decoded[1]

    def time_of(self, frame):
        """Seconds from the beginning of the clip."""
        return float(frame.pts * frame.time_base - self.start)

    def rgb(self, frame):
        """uint8 RGB (H, W, 3) of a frame: upright, with square pixels."""
        picture = clip_colour.rgb_of(frame, self.colour, (self.stretched, self.height))
        if not self.turn[0, 0]:
            picture = picture.swapaxes(0, 1)
        flip_x, flip_y = self.turn.sum(1) < 0
        return np.ascontiguousarray(picture[::-1 if flip_y else 1, ::-1 if flip_x else 1])

    def to_stored(self, placement):
        """A Placement in the upright picture, as one in the pixels that are stored."""
        upright = np.hstack([self.turn * (self.stretched / self.width, 1), np.zeros((2, 1))])
        corner = upright[:, :2] @ (self.width, self.height)
        upright[:, 2] = -np.minimum(corner, 0)
        inverse = np.linalg.inv(upright[:, :2])
        matrix = inverse @ placement.matrix
        matrix[:, 2] -= inverse @ upright[:, 2]
        return dataclasses.replace(placement, matrix=matrix)


def _address(path):
    """The file's name for FFmpeg, which takes one with a colon for an address on the network."""
    return f"file:{path}"


def opened(path):
    """The av container of the file at `path`. Raises UserError."""
    opening.check_file(path)
    try:
        return av.open(_address(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(f"{path}: a damaged clip, or none that can be read here ({error.strerror})") from error


def video_of(container, path):
    """The stream of moving pictures. Raises UserError if there is none, or no decoder for it."""
    kinds = av.stream.Disposition
    moving = [stream for stream in container.streams.video if not stream.disposition & kinds.attached_pic]
    if not moving:
        others = ", ".join(sorted({stream.type for stream in container.streams})) or "data"
        raise UserError(f"{path}: no video in it, only {others}")
    video = max(moving, key=lambda stream: (bool(stream.disposition & kinds.default), -stream.index))
    if video.codec_context is None:
        raise UserError(f"{path}: its video codec cannot be read here")
    return video


def decoder_of(video):
    """What decodes a stream's frames, with their transparency: FFmpeg's own decoders of VP8 and VP9 drop it."""
    like = video.codec_context
    other = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(like.name)
    if other is None or video.metadata.get("alpha_mode") != "1":
        return like
    decoder = av.CodecContext.create(other, "r")
    decoder.color_trc, decoder.color_primaries = like.color_trc, like.color_primaries
    return decoder


def display_matrix_of(frame):
    """The nine integers of a frame's display matrix, or None."""
    matrix = next((data for data in frame.side_data if data.type.name == "DISPLAYMATRIX"), None)
    return None if matrix is None else np.frombuffer(matrix, np.int32).tolist()


def turn_of(display_matrix):
    """int (2, 2): what takes a stored picture's axes to those of the upright one; one of the eight turns and flips.

    A matrix that turns by another angle is no turn here, but the copy keeps it.
    """
    if display_matrix is None:
        return np.eye(2, dtype=int)
    a, b, _, c, d, *_ = display_matrix
    turn = np.sign(np.array([[a, c], [b, d]]) / 65536 * 2).astype(int) * (np.abs([[a, c], [b, d]]) > 32768)
    return turn if abs(np.linalg.det(turn)) == 1 and (turn == 0).sum() == 2 else np.eye(2, dtype=int)


def plays(path):
    """Whether the file at `path` is a clip of which a frame can be read."""
    with contextlib.suppress(UserError), Clip(path):
        return True
    return False


def is_marked(path):
    """Whether the clip at `path` says that it was edited. Only its header is read. False if it is no clip."""
    try:
        with av.open(_address(path), metadata_errors="replace") as container:
            return any(EDITED_MARK in str(value) for value in container.metadata.values())
    except Exception:  # damaged: whoever reads it says so
        return False


def with_mark(metadata):
    """A clip's metadata {key: text} with the mark before the comment that stood there."""
    metadata = {key: value for key, value in metadata.items()
                if key.lower() not in ("encoder", "major_brand", "minor_version", "compatible_brands", "duration")}
    key = next((key for key in metadata if key.lower() == "comment"), "comment")
    before = metadata.get(key, "")[:LONGEST_MARK_BEFORE]
    if EDITED_MARK not in before:
        metadata[key] = EDITED_MARK + (f"; before: {before}" if before else "")
    return metadata


def codec_of(clip, name):
    """The Codec called `name`. None: H.264, which every player shows; HEVC for more than 8 bits. Raises UserError."""
    if name is None:
        name = "hevc" if clip.deep else "h264"
    codec = CODECS[name]
    if clip.colour.is_hdr and not codec.holds_10_bits:
        raise UserError(f"{clip.path}: HDR needs 10 bits, but {name} is written with 8: use --codec hevc or av1")
    return codec


def target_suffix(path, codec=None):
    """The suffix of outputs for the clip at `path` with the codec of this name: its own if the codec fits into it."""
    suffixes, own = CODECS[codec or "h264"].suffixes, path.suffix
    if own.lower() in suffixes:
        return own
    return clip_sound.suffix_for(_address(path), suffixes, CONTAINERS)


def check_suffix(path, codec):
    """Raises UserError if a clip cannot be written to `path` with the codec of this name."""
    suffixes = CODECS[codec or "h264"].suffixes
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{path}: clips are written as {', '.join(suffixes)}" + f" with --codec {codec}" * bool(codec))


class Writer:
    """An edited copy of `clip` at `path`, complete when it is closed. codec: Codec.

    Raises UserError if the container has no room for what it should hold. What it has no room for is noted.
    """

    def __init__(self, path, clip, codec):
        self.clip, self.codec, self.size = clip, codec, (clip.width, clip.height)
        form = CONTAINERS[Path(path).suffix.lower()]
        self.pixel_format = codec.pixel_format(clip, form)
        if clip.deep and not codec.holds_10_bits:
            clip.notes.append("its 10 bits or more became 8")
        if clip.clear and not codec.keeps_clear(clip, form):
            clip.notes.append("its transparency is not kept, what it hid is shown (--codec prores, ffv1 keep it, "
                              "vp9 in .webm and .mkv)")
        tags = {"movflags": "use_metadata_tags"} if any("." in key for key in clip.container.metadata) else {}
        self.container = av.open(_address(path), "w", format=form, options=tags if form in ("mp4", "mov") else {})
        try:
            self.container.metadata.update(with_mark(self._kept(clip.container.metadata)))
            self.video = self._add_video(form)
            self.rising, self.anew = Rising(), {}
            self.copied = {stream.index: copy for stream in clip.kept if (copy := self._add_copy(stream))}
            if chapters := clip.container.chapters():
                self.container.set_chapters(
                    [chapter | {"metadata": self._kept(chapter["metadata"])} for chapter in chapters])
            self.container.start_encoding()
        except (ValueError, av.error.FFmpegError) as error:
            self.container.close()
            raise UserError(f"{path}: cannot hold {codec.name} ({error})") from error

    def _add_video(self, form):
        clip, first = self.clip, self.clip.first
        video = self.container.add_stream(self.codec.name, rate=clip.rate, options=dict(self.codec.options))
        video.width, video.height, video.pix_fmt = *self.size, self.pixel_format
        video.time_base = video.codec_context.time_base = first.time_base
        # The header is written before the first frame, so it is told the colours here.
        like = clip_colour.writable(first, clip.colour, self.size, self.pixel_format)
        context = video.codec_context
        context.colorspace, context.color_range = like.colorspace, like.color_range
        context.color_trc, context.color_primaries = like.color_trc, like.color_primaries
        context.flags |= Flags.frame_duration
        if shape := clip.video.sample_aspect_ratio:
            context.sample_aspect_ratio = shape
        if self.codec.name == "libx265" and form in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # Apple's players show no other
        if clip.display_matrix:
            video.set_display_matrix(clip.display_matrix)
        video.metadata.update(self._kept({key: value for key, value in clip.video.metadata.items()
                                          if key in ("language", "handler_name", "title")}))
        return video

    def _kept(self, metadata):
        """{key: text} of the clip's without those that hold a picture: it may show the face as it was."""
        kept = {key: text for key, text in metadata.items() if not holds_picture(text)}
        if len(kept) < len(metadata):
            self.clip.notes.append("not kept: metadata with a picture inside")
        return kept

    def _add_copy(self, stream):
        """The stream that holds the same packets, or None if there is no room for it."""
        try:
            copy = self.container.add_stream_from_template(stream, opaque=True)
        except (ValueError, av.error.FFmpegError):
            codec = getattr(stream.codec_context, "name", "unknown")
            if stream.type != "audio" or not stream.codec_context:
                self.clip.notes.append(f"not kept: {stream.type} ({codec})")
                return None
            sound = self.anew[stream.index] = clip_sound.Sound(self.container, stream)
            self.clip.notes.append(f"its sound ({codec}) was encoded anew ({sound.name})")
            copy = sound.stream
        copy.metadata.update(self._kept(stream.metadata))
        copy.disposition = stream.disposition
        return copy

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        """Also after an error, what is written so far is made a clip that plays; after a second Ctrl-C it is not."""
        with contextlib.nullcontext() if kind is None else contextlib.suppress(Exception):
            try:
                if kind is None or issubclass(kind, Exception):
                    self._encode(None)
                    for sound in self.anew.values():
                        self._mux(sound.packets([]))
            finally:
                self.container.close()

    def copy(self, packet):
        """Write a packet of sound or subtitles: as it is, or encoded anew. One that cannot be written is left out."""
        index = packet.stream.index
        if index not in self.copied:
            return
        try:
            if index in self.anew:
                if frames := self.clip.sound_of(packet):
                    self._mux(self.anew[index].packets(frames))
            elif packet.size:
                again = av.Packet(bytes(packet))
                for name in ("time_base", "is_keyframe", "pts", "dts", "duration"):
                    setattr(again, name, getattr(packet, name))
                for data in packet.iter_sidedata():
                    again.set_sidedata(data)
                again.stream = self.copied[index]
                self._mux([again])
        except (ValueError, av.error.FFmpegError) as error:
            if isinstance(error, OSError):  # a full disk
                raise
            self.clip.damaged += 1

    def write(self, frame, changes, strength):
        """Write an av.VideoFrame with [blending.Change] of the upright picture."""
        clip = self.clip
        copy = clip_colour.writable(frame, clip.colour, self.size, self.pixel_format)
        stored = [dataclasses.replace(change, placement=clip.to_stored(change.placement)) for change in changes]
        clip_colour.add(copy, stored, strength, clip.colour)
        self._encode(copy)

    def _encode(self, frame):
        self._mux(self.video.encode(frame))

    def _mux(self, packets):
        """Write packets with the clip's times: the copy's begin at zero."""
        for packet in packets:
            shift = round(self.clip.start / packet.time_base)
            packet.pts, packet.dts = (None if time is None else time - shift for time in (packet.pts, packet.dts))
            self.rising.set(packet)
            self.container.mux(packet)
