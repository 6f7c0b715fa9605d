"""Where walls are read to be, against the renders' exact planes, over a grid of all pixels that show bare wall.

Distances are compared as if the camera stood as high as we assume: what its unknown height adds is the same for all
that is in a photo, and measured elsewhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, Section
from bench.scenes import SceneRoom, rooms
from imaging.room import Room, read_room
from imaging.walls import nearest_wall

Float = NDArray[np.float64]
WALL_CLASS, GRID_PX, OFF, TURNED_DEG = 3, 16, 0.1, 20.0


@dataclass(frozen=True, eq=False)
class WallErrors:
    """Of each wall pixel of a grid: log of the distance that we read over the true one, degrees between the normals."""

    room: str
    distance: Float
    turned: Float

    @property
    def off(self) -> float:
        """Share of pixels whose distance is wrong by more than a tenth."""
        return float((np.abs(self.distance) > OFF).mean())


def measure(title: str) -> Section:
    """One row per room, then the mean and the worst."""
    errors = [wall_errors(scene, read_room(scene.photo.pixels, scene.photo.f35_mm)) for scene in rooms()]
    figures = [
        Figure(f"{each.room}: wall distance error, mean", 100 * float(np.abs(each.distance).mean()), "%", target=10.0)
        for each in errors
    ]
    every = np.concatenate([np.abs(each.distance) for each in errors])
    turned = np.concatenate([each.turned for each in errors])
    figures += [
        Figure("wall distance error, mean", 100 * float(every.mean()), "%", target=6.0),
        Figure("wall distance error, 95th percentile", 100 * float(np.percentile(every, 95)), "%", target=18.0),
        Figure("wall pixels off by more than a tenth", 100 * float((every > OFF).mean()), "%"),
        Figure("wall pixels taken for a wall of another direction", 100 * float((turned > TURNED_DEG).mean()), "%"),
    ]
    return Section(title, f"{len(every)} wall pixels of {len(errors)} rendered rooms.", figures)


def wall_errors(scene: SceneRoom, room: Room) -> WallErrors:
    """How the walls of a reading differ from the true ones."""
    seg, true, ours = scene.mask("seg"), scene.camera, room.camera()
    rows, columns = (found * GRID_PX for found in np.nonzero(seg[::GRID_PX, ::GRID_PX] == WALL_CLASS))
    pixels = np.stack([columns, rows], axis=1).astype(np.float64) + 0.5
    distance, turned = [], []
    for read_ray, true_ray in zip(ours.rays(pixels), true.rays(pixels), strict=True):
        read, reach = nearest_wall(room.walls, read_ray)
        wall, away = nearest_wall(scene.true_walls, true_ray)
        distance.append(np.clip(np.log(reach / ours.height_m * true.height_m / away), -3.0, 3.0))
        turned.append(abs((read.yaw_deg - wall.yaw_deg + 180.0) % 360.0 - 180.0))
    return WallErrors(scene.name, np.array(distance), np.array(turned))


__all__ = ["WallErrors", "measure", "wall_errors"]
