"""Objects that live on both sides: lists, dicts, sets, records, generators of numbers, and the memory of arrays.

Each has a number. At every hand-over of control a side sends what changed since the last, and forgets what nobody
but this table refers to any more, so that an aliased or changed argument means the same as within one process.
"""

import numpy as np

from .entries import Region, extent, in_bytes
from .wire import MAX_BODY_BYTES, WireError

MAX_ENTRIES = 200_000
MAX_REGION_BYTES = 512 << 20  # of all arrays that are on both sides at a time
WHOLE_BYTES = 16 << 20  # the student's array crosses with all the memory that it is a view of, up to this size


class Shared:
    """The table of one connection: by number what lives on both sides, and the exchange of changes."""

    def __init__(self, is_trusted):
        self.is_trusted = is_trusted
        self.next_key = 2 if is_trusted else 1  # the two sides give out even and odd numbers
        self.entries, self.keys = {}, {}
        self.regions, self.region_bytes = {}, 0
        self.new_regions = []  # of the frame that is being made: (key, bytes)

    def take_key(self):
        if len(self.entries) + len(self.regions) > MAX_ENTRIES:
            raise WireError("too many lists and arrays at a time")
        self.next_key += 2
        return self.next_key

    def check_key(self, key):
        """A number that the other side gives out must be its own and new."""
        if type(key) is not int or key % 2 != self.is_trusted or key in self.entries or key in self.regions:
            raise WireError("a wrong number for a new object")
        if len(self.entries) + len(self.regions) > MAX_ENTRIES:
            raise WireError("too many lists and arrays at a time")

    def known(self, value):
        """The number of an object that is on both sides already, or None."""
        return self.keys.get(id(value))

    def add(self, key, entry):
        self.entries[key] = entry
        self.keys[id(entry.value)] = key

    def get(self, key):
        if type(key) is not int or key not in self.entries:
            raise WireError("no such object")
        return self.entries[key].value

    def region_of(self, array):
        """(key, Region) of the memory that an array (not empty) is a view of; new ones go with the frame."""
        low, high = extent(array)
        for key, region in self.regions.items():
            if region.low <= low and high <= region.high:
                if region.is_dense or array is region.array:
                    return key, region
        region = self.new_region(array)
        key = self.take_key()
        self.put_region(key, region)
        self.new_regions.append((key, region.snapshot))
        return key, region

    def new_region(self, array):
        """Of the student's arrays all the memory they are views of crosses, of the tester's the array alone."""
        if array.nbytes > MAX_BODY_BYTES:
            raise WireError(f"an array of {array.nbytes >> 20} MiB is too large to cross")
        self.check_room(array.nbytes)
        if not self.is_trusted:
            root = array
            while isinstance(root.base, np.ndarray):
                root = root.base
            whole = in_bytes(root) if root.nbytes <= WHOLE_BYTES else None
            if whole is not None:
                return Region(whole, root)
        own = in_bytes(array)
        return Region(array) if own is None else Region(own, array)

    def add_region(self, key, data):
        self.check_key(key)
        self.check_room(len(data))
        self.put_region(key, Region(np.frombuffer(data, np.uint8).copy()))

    def check_room(self, nbytes):
        if self.region_bytes + nbytes > MAX_REGION_BYTES:
            raise WireError(f"arrays of more than {MAX_REGION_BYTES >> 20} MiB together are too large to cross")

    def put_region(self, key, region):
        self.regions[key] = region
        self.region_bytes += region.nbytes

    def region(self, key):
        if type(key) is not int or key not in self.regions:
            raise WireError("no such array")
        return self.regions[key]

    def changes(self):
        """(changed entries, changed regions), each as (key, entry); what changed counts as sent from now on."""
        entries = [(key, entry) for key, entry in self.entries.items() if entry.changed()]
        return entries, [(key, region) for key, region in self.regions.items() if region.changed()]

    def forget(self):
        """Drops what only this table refers to; returns the numbers, for the other side to drop as well."""
        gone = []
        for key in list(self.entries):
            if self.entries[key].is_ours_alone():
                self.drop(key)
                gone.append(key)
        for key in list(self.regions):
            if self.regions[key].is_ours_alone():
                self.drop(key)
                gone.append(key)
        return gone

    def drop(self, key):
        if type(key) is not int:
            raise WireError("not a number of an object")
        if key in self.regions:
            self.region_bytes -= self.regions.pop(key).nbytes
        entry = self.entries.pop(key, None)
        if entry is not None:
            del self.keys[id(entry.value)]

    def undo(self, mark):
        """Drops what was given a number after `mark`: the other side never heard of it."""
        for key in [key for key in (*self.entries, *self.regions) if key > mark and key % 2 == mark % 2]:
            self.drop(key)
