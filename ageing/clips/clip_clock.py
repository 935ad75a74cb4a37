"""The times of a clip's packets, where the clip's own clock cannot be trusted."""

BACK, AHEAD, FAR_AHEAD = 1, 10, 30 * 3600   # seconds


class Clock:
    """Takes the times of a clip's packets to one clock. jumps: the format is one whose clock may start anew.

    Joined recordings (two .MTS files in one) begin a new clock in the middle: it goes back, or far ahead. What follows
    is moved to where the recording before ended, as ffmpeg does. Elsewhere a gap is a gap, unless it lasts for days.
    jumped: how often that happened; a pause of the recording cannot be told from a new one.
    """

    def __init__(self, jumps):
        self.ahead = AHEAD if jumps else FAR_AHEAD
        self.newest, self.shifts, self.ends = 0, {}, {}    # seconds; {stream's index: seconds}
        self.jumped = 0

    def set(self, packet):
        """Change the times of an av.Packet. Sound without a time follows the sound before."""
        unit, index = packet.time_base, packet.stream_index
        shift = self.shifts.get(index, self.newest)
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is None and packet.stream.type == "audio" and index in self.ends:
            packet.pts = packet.dts = stamp = round((self.ends[index] - shift) / unit)
        if stamp is None:
            return
        time = stamp * unit
        if self._jumped(index, time + shift):
            # Streams jump one after the other: the later ones follow the first, so that they stay together.
            if shift == self.newest or self._jumped(index, time + self.newest):
                self.newest = max(self.ends.values()) - time
                self.jumped += 1
            shift = self.newest
        if packet.stream.type != "subtitle":    # one of them says nothing about the next
            self.shifts[index], self.ends[index] = shift, time + shift + (packet.duration or 0) * unit
        moved = round(shift / unit)
        packet.pts, packet.dts = (None if one is None else one + moved for one in (packet.pts, packet.dts))

    def _jumped(self, index, time):
        """Whether it lies before the end of its stream, or far behind the end of all."""
        return index in self.ends and not (
            self.ends[index] - BACK <= time <= max(self.ends.values()) + self.ahead)


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
