"""The times of a clip's packets, where the clip's own clock cannot be trusted."""

BACK, AHEAD, FAR_AHEAD = 1, 10, 30 * 3600   # seconds


class Clock:
    """Takes the times of a clip's packets to one clock. jumps: the format is one whose clock may start anew.

    Joined recordings (two .MTS files in one) begin a new clock in the middle: it goes back, or far ahead. What follows
    is moved to where the recording before ended, as ffmpeg does. Elsewhere a gap is a gap, unless it lasts for days.
    """

    def __init__(self, jumps):
        self.ahead = AHEAD if jumps else FAR_AHEAD
        self.newest, self.shifts, self.ends = 0, {}, {}    # seconds; {stream's index: seconds}

    def set(self, packet):
        """Change the times of an av.Packet of sound, video or subtitles. A packet without one follows the last."""
        unit, index, end = packet.time_base, packet.stream_index, self.ends.get(packet.stream_index)
        stamp = packet.pts if packet.dts is None else packet.dts
        if packet.stream.type == "subtitle":    # their gaps say nothing
            shift = self.newest
        elif stamp is None:
            shift = 0
            if packet.stream.type == "audio" and end is not None:
                packet.pts = packet.dts = stamp = round(end / unit)
        else:
            shift = self.shifts.get(index, self.newest)
            if end is not None and self._jumped(stamp * unit + shift - end):
                # Streams jump one after the other: the later ones follow the first, so that they stay together.
                if shift == self.newest or self._jumped(stamp * unit + self.newest - end):
                    self.newest = max(self.ends.values()) - stamp * unit
                shift = self.newest
            self.shifts[index] = shift
        for name in ("pts", "dts") if shift else ():
            if (time := getattr(packet, name)) is not None:
                setattr(packet, name, time + round(shift / unit))
        if stamp is not None and packet.stream.type != "subtitle":
            self.ends[index] = stamp * unit + shift + (packet.duration or 0) * unit

    def _jumped(self, seconds):
        return not -BACK <= seconds <= self.ahead


class Rising:
    """Makes packets fit for a muxer, which refuses a time that is no later than the one before it in its stream."""

    def __init__(self):
        self.last = {}

    def set(self, packet):
        """Take an av.Packet's times to the units of the stream that it is written to, and later where they must be."""
        unit, ratio = packet.stream.time_base, packet.time_base / packet.stream.time_base
        pts, dts = (None if time is None else round(time * ratio) for time in (packet.pts, packet.dts))
        dts = pts if dts is None else dts
        if packet.stream.index in self.last:
            dts = max(dts, self.last[packet.stream.index] + 1)
        self.last[packet.stream.index] = dts
        packet.pts, packet.dts = dts if pts is None else max(pts, dts), dts
        packet.duration, packet.time_base = round((packet.duration or 0) * ratio), unit
