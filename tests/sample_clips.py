"""Small clips of all kinds, and what is in the file after editing one."""

from fractions import Fraction

import av
import moving_portrait
import numpy as np

from ageing.clips import clip_colour

RNG = np.random.default_rng(1)


def picture(width=96, height=64, shift=0):
    """uint8 RGB (height, width, 3): a colourful gradient with a bright square, moved by `shift` pixels."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([40 + x * 150 // width, 40 + y * 150 // height, 200 - (x + y) * 120 // (width + height)], 2)
    image[10:20, 10 + shift:20 + shift] = (220, 60, 60)
    return image.astype(np.uint8)


def pictures(n, width=96, height=64):
    return [picture(width, height, i % 30) for i in range(n)]


def write(path, images, rate=25, codec="libx264", pixel_format="yuv420p", times=None, time_base=None, sound=None,
          turn=0, mirror=False, matrix=None, full=False, transfer=None, shape=None, metadata=None, form=None, start=0,
          options=None):
    """Write a clip of uint8 RGB images (or av.VideoFrames). times: pts in `time_base`. sound: a codec's name.

    turn: degrees counter-clockwise by which players turn it. matrix, transfer: FFmpeg's numbers. start: seconds.
    """
    images = [av.VideoFrame.from_ndarray(image) if isinstance(image, np.ndarray) else image for image in images]
    options = options if options is not None else {"crf": "10"} if codec == "libx264" else {}
    time_base = time_base or Fraction(1) / rate
    with av.open(str(path), "w", format=form) as out:
        out.metadata.update(metadata or {})
        stream = out.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = images[0].width, images[0].height, pixel_format
        stream.time_base = stream.codec_context.time_base = time_base
        context = stream.codec_context
        context.colorspace, context.color_range = matrix or 2, 2 if full else 1
        context.color_trc = transfer or 2
        context.color_primaries = 9 if matrix == 9 else 2
        if shape:
            context.sample_aspect_ratio = shape
        if turn or mirror:
            stream.set_display_rotation(turn, hflip=mirror)
        voice = add_sound(out, sound) if sound else None
        for i, image in enumerate(images):
            code = clip_colour.MATRICES[matrix or clip_colour.BT601][2]
            frame = image.reformat(
                format=pixel_format, dst_colorspace=code, dst_color_range=2 if full else 1)
            frame.pts = (times[i] if times else i) + round(start / time_base)
            frame.time_base = time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if voice:
            for packet in sound_packets(voice, len(images) / rate, start):
                out.mux(packet)
    return path


def write_face(path, seconds, rate, size=(384, 216), motion=1.0, **more):
    """Write a clip of the astronaut's moving portrait, see `write`."""
    frames = moving_portrait.frames(moving_portrait.portrait("astronaut"), seconds, rate, size, motion=motion)
    return write(path, [photo for photo, _ in frames], rate, **more)


def add_sound(out, codec):
    voice = out.add_stream(codec, rate=48000)
    voice.codec_context.layout = "stereo" if codec == "pcm_bluray" else "mono"
    if codec == "wmav2":
        voice.codec_context.bit_rate = 96000
    return voice


def sound_packets(voice, seconds, start=0):
    for i in range(max(1, int(seconds * 48000 / 1024))):
        time = np.arange(1024) + i * 1024
        wave = (np.sin(time / 20) * 0.3).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, i * 1024 + round(start * 48000), Fraction(1, 48000)
        yield from voice.encode(frame)
    yield from voice.encode()


def read(path):
    """([(seconds, av.VideoFrame)], container) of the first video; the container stays open."""
    container = av.open(str(path))
    return [(float(frame.pts * frame.time_base), frame) for frame in container.decode(video=0)], container


def rgb(frame):
    return frame.to_ndarray(format="rgb24")


def packets(path, kind="audio"):
    """[(pts in seconds, bytes)] of the first stream of this kind."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [(round(float(p.pts * p.time_base), 4), bytes(p)) for p in container.demux(stream) if p.size]
