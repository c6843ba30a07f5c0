"""The faces of a video that is being read: found, followed, lost and known again, one frame after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from datamodules.faces.detection.base import SAME, FaceDetector, Floats, Found, Image, overlap, search_frame
from datamodules.faces.landmarks.base import PRESENCE, Landmarks
from datamodules.faces.tracking.appearance import correlate, describe
from datamodules.faces.tracking.cuts import Cuts
from datamodules.faces.tracking.lead import Lead, centre_of
from datamodules.faces.tracking.track import Sighting, Track

# similarity of one face a frame later, and after it was hidden: on the studio, the same face has at least 0.96 after
# five frames and 0.986 to the best of several looks, of different ones 95 and 99 % have at most 0.940 and 0.961
KEEP, JOIN = 0.93, 0.968
AGAIN = 5  # frames from one search of the whole frame to the next where a face was just lost
AGAIN_LOST = 12  # ... and while it is missing
AGAIN_EMPTY = 10  # ... and while no face is followed
SEARCH_LOST = 4  # a face that is missing for longer is looked for near its place in every so many frames
SETTLE = 2  # frames of a shot before its first search: a flash is over by then
HELD = 128 * 2**20  # bytes of frames in which faces may still be found, beyond which they are searched sooner
SMALLER = 0.6  # than the smallest face that is searched for, one that is followed may be
# overlap and correlation with the frame before, from which a face that was followed is the same in any light
STILL, ALIKE = 0.6, 0.9
DRIFT = 0.1  # of its size, by which a face may move more with each frame that it is missing


class Pursuit:
    """After a cut even the same person is another track."""

    def __init__(
        self,
        detector: FaceDetector,
        landmarks: Landmarks,
        every: int,
        smallest: float,
        patience: int,
        shortest: int,
        damaged: Collection[int] = (),
    ) -> None:
        """
        Args:
            damaged: Numbers of frames that are not looked at: what was seen last stands in for them.
        """
        self.detector, self.landmarks = detector, landmarks
        self.every, self.smallest, self.patience, self.shortest = every, smallest, patience, shortest
        self.damaged = frozenset(damaged)
        self.tracks: list[Track] = []
        self.leads: list[Lead] = []
        self.cuts, self.shot = Cuts(), 0
        self.pending: list[Image] = []  # in which faces may still be found
        self.sightings: dict[int, list[Sighting]] = {}  # in those frames
        self.previous_image: Image | None = None
        self.last_image: Image | None = None
        self.count = self.last_search = self.next_search = 0

    @property
    def final_until(self) -> int:
        """Faces of frames before this one will not change."""
        return self.count - len(self.pending)

    def update(self, image: Image) -> None:
        """
        Args:
            image: (H, W, 3), the next frame.
        """
        i = self.count
        if i in self.damaged:
            image = self.last_image if self.last_image is not None else np.zeros_like(image)
        elif (shot := self.cuts.update(image)) != self.shot:
            self.enter(shot)
        self.previous_image, self.last_image = self.last_image, image
        self.pending.append(image)
        self.sightings[i] = []
        self.count = i + 1
        self.leads = [lead for lead in self.leads if i - lead.last_sighting.frame <= self.patience]
        leads_of_shot = [lead for lead in self.leads if lead.track.shot == self.shot]
        followed = {
            sighting: lead
            for lead in leads_of_shot
            if (sighting := self.follow(lead.last_sighting, lead.predict(i), image, i)) is not None
        }
        self.assign(leads_of_shot, followed, i, image)
        missing = [i - lead.last_sighting.frame for lead in leads_of_shot if lead.last_sighting.frame < i]
        if missing:
            self.next_search = min(self.next_search, self.last_search + (AGAIN if 1 in missing else AGAIN_LOST))
        if len(missing) == len(leads_of_shot):
            self.next_search = min(self.next_search, self.last_search + AGAIN_EMPTY)
        full = sum(held.nbytes for held in self.pending) > HELD
        if full or (i >= self.next_search and i not in self.damaged):
            self.search(i, image, wait=not full)
        if full and i in self.damaged:
            self.next_search = i + 1  # what stood in for it was searched

    def enter(self, shot: int) -> None:
        """The next frame is of another shot, perhaps of one that was left just before."""
        self.close()
        if all(shot != track.shot for track in self.tracks) and self.count:
            self.next_search = self.count + SETTLE
        self.shot = shot
        self.settle()

    def close(self) -> None:
        """Who came since the last search is looked for in the last frame."""
        if self.last_image is not None and len(self.pending) >= self.shortest:
            self.search(self.count - 1, self.last_image, wait=False)

    end = close

    def settle(self) -> None:
        self.pending, self.sightings = [], {}

    def follow(self, last: Sighting, place: Floats, image: Image, i: int) -> Sighting | None:
        """A face that was seen in another frame, by its landmarks where they can, or by the detector near a place."""
        gap = abs(i - last.frame)
        h, w = image.shape[:2]
        if (place[2:] <= 0).any() or (place[:2] >= (w, h)).any():
            return None  # it has left the image
        if gap == 1 and (face := self.landmarks.follow(image, last.face)) is not None and face.presence >= PRESENCE:
            keypoints = move_keypoints(last.found.keypoints, face.points)
            found = Found(box=box_around(face.points), score=float("nan"), keypoints=keypoints)
            if found.box[2] - found.box[0] < SMALLER * self.smallest:
                return None
            return Sighting(frame=i, found=found, face=face, found_by=type(self.landmarks).__name__)
        if gap > SEARCH_LOST and gap % SEARCH_LOST:
            return None
        expected = Found(box=place, score=last.found.score, keypoints=last.found.keypoints)
        detected = self.detector.follow(image, expected)
        return None if detected is None else self.fit(detected, image, i)

    def fit(self, found: Found, image: Image, i: int) -> Sighting | None:
        """With its landmarks, if these see a face there."""
        face = self.landmarks.fit(image, found)
        if face.presence < PRESENCE:
            return None
        if face.mesh is not None:  # as it will be followed
            keypoints = move_keypoints(found.keypoints, face.points)
            found = Found(box=box_around(face.points), score=found.score, keypoints=keypoints)
        return Sighting(frame=i, found=found, face=face, found_by=type(self.detector).__name__)

    def assign(
        self, leads: Iterable[Lead], sightings: Mapping[Sighting, Lead | None], i: int, image: Image
    ) -> list[Sighting]:
        """Gives each face to the one track that it is most like, if it is like one.

        Without colours nobody is known again who was hidden: a black-and-white video has more and shorter tracks.

        Args:
            sightings: Sightings, each with the track that it was followed from.

        Returns:
            The faces that may be of a track that is missing, but do not look enough like it yet.
        """
        pairs, doubtful = [], []
        for sighting, origin in sightings.items():
            look = describe(image, sighting.found.box)
            for lead in leads:
                near = self.nearness(lead, sighting)
                if near is None or lead.last_sighting.frame == i:
                    continue
                gap = i - lead.last_sighting.frame
                if gap > SEARCH_LOST and not lead.can_tell(look):
                    continue
                alike = lead.likeness(look) if gap == 1 else lead.settled_likeness(look)
                if alike >= (KEEP if gap == 1 else JOIN) or (lead is origin and self.is_still(lead, sighting, image)):
                    pairs.append((alike + 0.02 * near, lead, sighting, look))
                elif alike >= KEEP:
                    doubtful.append(sighting)
        for _, lead, sighting, look in sorted(pairs, key=lambda pair: -pair[0]):
            if lead.last_sighting.frame < i and not self.is_known(sighting):
                self.put(lead, sighting, look, image)
        return [sighting for sighting in doubtful if not self.is_known(sighting)]

    def nearness(self, lead: Lead, sighting: Sighting) -> float | None:
        """Overlap with where the track is expected; None where it cannot have come from."""
        place, box = lead.predict(sighting.frame), sighting.found.box
        near, gap = overlap(place, box), sighting.frame - lead.last_sighting.frame
        if near > SAME:
            return near
        a, b = float((place[2:] - place[:2]).max()), float((box[2:] - box[:2]).max())
        far = float(np.linalg.norm(centre_of(place) - centre_of(box)))
        return near if gap > 1 and far < (0.5 + DRIFT * gap) * a and max(a, b) < 1.5 * min(a, b) else None

    def is_still(self, lead: Lead, sighting: Sighting, image: Image) -> bool:
        """Whether only the light has changed; after a cut that nobody saw another face may be in the same place."""
        box, place = lead.last_sighting.found.box, sighting.found.box
        if sighting.frame - lead.last_sighting.frame > 1 or self.previous_image is None or overlap(box, place) <= STILL:
            return False
        return correlate(self.previous_image, box, image, place) >= ALIKE

    def put(self, lead: Lead, sighting: Sighting, look: Floats, image: Image) -> None:
        before = -1
        if len(lead.track):
            before = lead.last_sighting.frame
            lead.last_sighting.forget_mesh()  # only the last one is followed
        lead.track.sightings.append(sighting)
        self.sightings[sighting.frame].append(sighting)
        lead.remember(sighting.frame, look)
        if sighting.frame - before > 1:
            self.rewind(lead, before)

    def is_known(self, sighting: Sighting) -> bool:
        return any(
            overlap(other.found.box, sighting.found.box) > SAME for other in self.sightings.get(sighting.frame, [])
        )

    def search(self, i: int, image: Image, wait: bool = True) -> None:
        """In the whole of a frame, for faces that are not followed yet.

        Args:
            wait: Whether a face that may be one that is missing is left to a later search, which will tell.
        """
        new = []
        for found in search_frame(self.detector, image, self.smallest):
            known = next(
                (sighting for sighting in self.sightings[i] if overlap(sighting.found.box, found.box) > SAME), None
            )
            if known is None and (sighting := self.fit(found, image, i)) is not None and not self.is_known(sighting):
                new.append(sighting)
        missing = [lead for lead in self.leads if lead.track.shot == self.shot and lead.last_sighting.frame < i]
        doubtful = self.assign(missing, dict.fromkeys(new), i, image)
        for sighting in new:
            if not self.is_known(sighting) and not (wait and sighting in doubtful):
                lead = Lead(Track(len(self.tracks), self.shot))
                self.tracks.append(lead.track)
                self.leads.append(lead)
                self.put(lead, sighting, describe(image, sighting.found.box), image)
        self.last_search, self.next_search = i, i + self.every
        if doubtful and wait:
            self.next_search = i + SEARCH_LOST
        else:
            self.settle()

    def rewind(self, lead: Lead, before: int) -> None:
        """A face that came between two searches is followed back to where it came from.

        Args:
            before: The frame in which the track was seen last, until which it may be.
        """
        start = lead.last_sighting
        sighting, back = start, []
        look = lead.likeness
        for j in range(start.frame - 1, max(before, self.final_until - 1), -1):
            image = self.pending[j - self.final_until]
            seen = self.follow(sighting, sighting.found.box, image, j)
            if seen is None or self.is_known(seen) or look(describe(image, seen.found.box)) < KEEP:
                break
            back.append(seen)
            self.sightings[j].append(seen)
            if sighting is not start:
                sighting.forget_mesh()
            sighting = seen
        if back:
            sighting.forget_mesh()
        at = len(lead.track) - 1
        lead.track.sightings[at:at] = back[::-1]


def box_around(points: Floats) -> Floats:
    """The box that a detector would give a face with these (68, 2) points: brows to chin, as wide as high."""
    centre, side = points[17:].mean(0), 0.9 * float(np.ptp(points, axis=0).max())
    return np.concatenate([centre - side / 2, centre + side / 2]).astype(np.float32)


def move_keypoints(keypoints: Floats | None, points: Floats) -> Floats | None:
    """Those of a detector, moved, turned and resized so that the eyes are where the (68, 2) points have them."""
    if keypoints is None:
        return None
    eyes = points[36:48].reshape(2, 6, 2).mean(1)
    (right, left), (old, other) = eyes @ (1, 1j), keypoints[:2] @ (1, 1j)  # as complex numbers: a product turns
    moved = (keypoints @ (1, 1j) - old) * (left - right) / (other - old) + right
    return np.stack([moved.real, moved.imag], 1).astype(np.float32)
