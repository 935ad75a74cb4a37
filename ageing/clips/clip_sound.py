"""The sound of a clip's copy: its own packets where the container holds them, otherwise encoded anew."""

import functools
import io

import av

MP4 = {"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"}    # what every player plays there
LAYOUTS = {1: "mono", 6: "5.1", 8: "7.1"}   # by the number of channels; others become stereo
BITS = 96_000       # a second and channel


def suffix_for(path, suffixes, forms):
    """The one of `suffixes` whose container holds the sound of the clip at `path`. forms: {suffix: container}.

    Without one, the first: sound is encoded anew there.
    """
    try:
        with av.open(path, metadata_errors="replace") as container:
            codecs = [stream.codec_context.codec for stream in container.streams.audio if stream.codec_context]
    except Exception:  # reading it will say what is wrong
        codecs = []
    if ".mp4" in suffixes and {codec.canonical_name for codec in codecs} <= MP4:
        return ".mp4"
    pcm = all(codec.canonical_name.startswith("pcm") for codec in codecs)
    for suffix in (".mkv", ".mov") if ".mp4" in suffixes and not pcm else (".mov", ".mkv"):
        if suffix in suffixes and {codec.name for codec in codecs} <= held_by(forms[suffix]):
            return suffix
    return suffixes[0]


@functools.cache
def held_by(form):
    """The names of the codecs that the container `form` holds."""
    with av.open(io.BytesIO(), "w", format=form) as container:
        return container.supported_codecs


class Sound:
    """The sound of an av.AudioStream, encoded anew into an output container. name: of the codec."""

    def __init__(self, container, source):
        self.name = "opus" if container.format.name == "webm" else "aac"
        codec = av.Codec({"opus": "libopus"}.get(self.name, self.name), "w")
        rates, rate = codec.audio_rates, source.codec_context.sample_rate
        self.stream = container.add_stream(codec.name, rate=min([r for r in rates if r >= rate], default=max(rates)))
        context = self.stream.codec_context
        context.layout = LAYOUTS.get(source.codec_context.channels, "stereo")
        context.bit_rate, self.end = BITS * context.channels, 0

    def packets(self, frames):
        """The packets for these av.AudioFrames; without any, those that are left."""
        for frame in frames or [None]:
            for packet in self.stream.encode(frame):
                if packet.pts is None:  # some decoders give their last frames no time
                    packet.pts = packet.dts = self.end
                self.end = packet.pts + (packet.duration or 0)
                yield packet
