"""The compiled part of the Pathfinder generator: paddles that grow into snakes on a map of taken places.

Places are (row, column); angles run from the column axis to the row axis. The map holds 0 (free) to 255 (taken). A
stamp is the picture of one paddle around its start, indexed by the place of its far end on the finer grid.

Keep all compiled functions in this file: Numba's cache does not notice when a called function in another file changes.
"""

import math

import numpy as np
from numba import njit

FREE = 76
"""Highest value of a free place: 0.3 of 255, rounded down."""
OVERLAP = 459
"""Least sum of footprint and map, 1.8 times 255, at which a paddle is refused."""
LEAST_WEIGHT = 1e-4
LEAST_FREE_SHARE = 0.01


@njit(nogil=True, cache=True)
def moved(row, column, angle, distance):
    """The place `distance` away, rounded up."""
    return math.ceil(row + distance * math.sin(angle)), math.ceil(column + distance * math.cos(angle))


@njit(nogil=True, cache=True)
def stamp_of(angle, reach, centre):
    """Index (row, column) of the stamp of a paddle that points along `angle`."""
    row, column = moved(centre, centre, angle, reach)
    return row - centre + reach, column - centre + reach


@njit(nogil=True, cache=True)
def opposite(angle):
    """The opposite direction, in radians."""
    return angle + math.pi if angle < 0 else angle - math.pi


@njit(nogil=True, cache=True)
def inside(row, column, size):
    """Whether a place is on the map."""
    return 0 <= row < size and 0 <= column < size


@njit(nogil=True, cache=True)
def imprint(taken, paddle, footprints):
    """Mark the places of a paddle as taken."""
    footprint = footprints[paddle[2], paddle[3]]
    half = footprint.shape[0] // 2
    for i in range(footprint.shape[0]):
        for j in range(footprint.shape[1]):
            row, column = paddle[0] + i - half, paddle[1] + j - half
            if inside(row, column, taken.shape[0]) and footprint[i, j] > taken[row, column]:
                taken[row, column] = footprint[i, j]


@njit(nogil=True, cache=True)
def collides(taken, paddle, footprints):
    """Whether a paddle would overlap taken places."""
    footprint = footprints[paddle[2], paddle[3]]
    half = footprint.shape[0] // 2
    for i in range(footprint.shape[0]):
        for j in range(footprint.shape[1]):
            row, column = paddle[0] + i - half, paddle[1] + j - half
            if inside(row, column, taken.shape[0]) and int(taken[row, column]) + int(footprint[i, j]) >= OVERLAP:
                return True
    return False


@njit(nogil=True, cache=True)
def draw(layer, paddle, strokes, contrast):
    """Draw a paddle on the pixels that it makes brighter."""
    stroke = strokes[paddle[2], paddle[3]]
    half = stroke.shape[0] // 2
    for i in range(stroke.shape[0]):
        for j in range(stroke.shape[1]):
            row, column = paddle[0] + i - half, paddle[1] + j - half
            if inside(row, column, layer.shape[0]):
                layer[row, column] = max(layer[row, column], contrast * stroke[i, j] / 255)


@njit(nogil=True, cache=True)
def widened(taken, row, column, margin):
    """The highest value of the map within `margin` of a place."""
    highest = 0
    for i in range(-margin, margin + 1):
        for j in range(-margin, margin + 1):
            if i * i + j * j <= margin * margin and inside(row + i, column + j, taken.shape[0]):
                highest = max(highest, taken[row + i, column + j])
    return highest


@njit(nogil=True, cache=True)
def free_starts(taken, footprint, reach, starts):
    """Fill `starts` with the places where a paddle with this footprint can start; returns how many.

    A place is free if no place under the footprint, shifted by one row and one column, is taken. If the footprint of
    any place is entirely off the map, the result is 0, because LRA's generator gave up there. Without this rule images
    hold more and brighter snakes than LRA's (mean grey 27.8 and not 20.4 for the hard set).
    """
    size, half, count = taken.shape[0], footprint.shape[0] // 2, 0
    offsets, used = np.empty((footprint.size, 2), np.int64), 0
    for i in range(footprint.shape[0]):
        for j in range(footprint.shape[1]):
            down, right = i - half + 1, j - half + 1
            if footprint[i, j] == 255 and abs(down) <= reach and abs(right) <= reach:
                offsets[used, 0], offsets[used, 1] = down, right
                used += 1
    for row in range(size):
        for column in range(size):
            seen, free = False, True
            for k in range(used):
                below, beside = row + offsets[k, 0], column + offsets[k, 1]
                if inside(below, beside, size):
                    seen = True
                    if taken[below, beside] > FREE:
                        free = False
                        break
            if not seen:
                return 0
            if free:
                starts[count, 0], starts[count, 1] = row, column
                count += 1
    return count


@njit(nogil=True, cache=True)
def whole_degree(rng):
    """A direction: a whole degree from -180 to 179."""
    return (int(rng.random() * 360) - 180) * math.pi / 180


@njit(nogil=True, cache=True)
def seed(row, column, angle, length, margin, reach, centre, size, paddle, pivot):
    """Set the first paddle and its pivot; False where it leaves the map."""
    head_row, head_column = moved(row, column, angle, length)
    pivot[0], pivot[1] = moved(head_row, head_column, opposite(angle), length + margin)
    paddle[0], paddle[1] = row, column
    paddle[2], paddle[3] = stamp_of(angle, reach, centre)
    return inside(head_row, head_column, size) and inside(pivot[0], pivot[1], size)


@njit(nogil=True, cache=True)
def candidates(taken, pivot, angle, radius, margin, continuity, places, angles, weights):
    """Fill in the distinct places of the circle around the pivot, in order, with their weights; returns how many."""
    size, count = taken.shape[0], 0
    step = 360.0 / (2 * radius * math.pi) * math.pi / 180
    for k in range(math.ceil(2 * math.pi / step)):
        row, column = pivot[0] + radius * math.sin(k * step), pivot[1] + radius * math.cos(k * step)
        if not (0 <= row < size and 0 <= column < size):
            continue
        i, j, place = int(row), int(column), count
        while place > 0 and (places[place - 1, 0] > i or (places[place - 1, 0] == i and places[place - 1, 1] >= j)):
            place -= 1
        if place < count and places[place, 0] == i and places[place, 1] == j:
            continue
        for later in range(count, place, -1):
            places[later, 0], places[later, 1] = places[later - 1, 0], places[later - 1, 1]
        places[place, 0], places[place, 1] = i, j
        count += 1
    for k in range(count):
        angles[k] = math.atan2(places[k, 0] - pivot[0], places[k, 1] - pivot[1])
        turn = abs(angles[k] - angle)
        turn = min(min(turn, 2 * math.pi - turn) * continuity, math.pi / 2)
        free = 1 - widened(taken, places[k, 0], places[k, 1], margin) / 255
        weights[k] = free * math.cos(turn) ** 2
    return count


@njit(nogil=True, cache=True)
def extend(rng, taken, pivot, angle, paddle, footprints, shape, places, angles, weights):
    """Try to add a paddle behind `paddle`, which the map then takes in; returns whether, the angle and the far end."""
    length, margin, reach, centre, continuity, tries = shape
    pivot[0], pivot[1] = moved(pivot[0], pivot[1], angle[0], length + 2 * margin)
    count = candidates(taken, pivot, angle[0], length + margin, margin, continuity, places, angles, weights)
    total = 0.0
    for k in range(count):
        total += weights[k]
    if total < LEAST_WEIGHT:
        return False
    candidate = np.empty(4, np.int64)
    for _ in range(tries):
        threshold, chosen, sum_so_far = rng.random() * total, 0, 0.0
        for k in range(count):
            sum_so_far += weights[k]
            if sum_so_far > threshold:
                chosen = k
                break
        candidate[0], candidate[1] = places[chosen, 0], places[chosen, 1]
        candidate[2], candidate[3] = stamp_of(opposite(angles[chosen]), reach, centre)
        if not collides(taken, candidate, footprints):
            imprint(taken, paddle, footprints)
            paddle[:] = candidate
            angle[0] = angles[chosen]
            return True
    return False


@njit(nogil=True, cache=True)
def first_start(rng, taken, footprints, shape, paddle, pivot, angle, starts):
    """Place the first paddle of a snake where it is free; returns whether."""
    length, margin, reach, centre, _, tries = shape
    for _ in range(tries):
        angle[0] = whole_degree(rng)
        row, column = stamp_of(angle[0], reach, centre)
        count = free_starts(taken, footprints[row, column], length + margin, starts)
        if count == 0:
            return False
        start = starts[int(rng.random() * count)]
        if seed(start[0], start[1], angle[0], length, margin, reach, centre, taken.shape[0], paddle, pivot):
            return True
    return False


@njit(nogil=True, cache=True)
def start_beside(rng, start, distance, size, shape, paddle, pivot, angle):
    """Place the first paddle of the second snake at `distance` from the first's start; returns whether."""
    length, margin, reach, centre, _, tries = shape
    for _ in range(tries):
        angle[0] = whole_degree(rng)
        away = int(rng.random() * 360) * math.pi / 180
        row = int(np.rint(start[0] + distance * math.sin(away)))
        column = int(np.rint(start[1] + distance * math.cos(away)))
        if seed(row, column, angle[0], length, margin, reach, centre, size, paddle, pivot):
            return True
    return False


@njit(nogil=True, cache=True)
def blank(size, frame):
    """A map whose outermost `frame` rows and columns are taken."""
    taken = np.full((size, size), 255, np.uint8)
    taken[frame : size - frame, frame : size - frame] = 0
    return taken


@njit(nogil=True, cache=True)
def target_snakes(rng, size, padding, distance, paddles, footprints, shape, snakes):
    """Grow two snakes of `paddles` paddles into `snakes`, starting over until both are whole; returns their map."""
    starts, framed, empty = np.empty((size * size, 2), np.int64), blank(size, 2 * distance), blank(size, padding)
    places, angles, weights = np.empty((4096, 2), np.int64), np.empty(4096), np.empty(4096)
    pivots, directions, last = np.empty((2, 2), np.int64), np.empty((2, 1)), np.empty((2, 4), np.int64)
    taken = empty.copy()
    while True:
        if not first_start(rng, framed, footprints, shape, last[0], pivots[0], directions[0], starts):
            continue
        if not start_beside(rng, last[0], distance, size, shape, last[1], pivots[1], directions[1]):
            continue
        taken[:] = empty
        snakes[:, 0] = last
        whole = True
        for k in range(1, paddles):
            for snake in range(2):
                whole = whole and extend(
                    rng,
                    taken,
                    pivots[snake],
                    directions[snake],
                    last[snake],
                    footprints,
                    shape,
                    places,
                    angles,
                    weights,
                )
                snakes[snake, k] = last[snake]
            if not whole:
                break
        if whole:
            # The first snake's last paddle never reaches the map, in the original as here.
            imprint(taken, last[1], footprints)
            return taken


@njit(nogil=True, cache=True)
def distractor_snakes(rng, taken, count, attempts, paddles, footprints, shape, layer, strokes, contrast):
    """Grow and draw up to `count` snakes on free places."""
    size = taken.shape[0]
    starts, snake = np.empty((size * size, 2), np.int64), np.empty((paddles, 4), np.int64)
    places, angles, weights = np.empty((4096, 2), np.int64), np.empty(4096), np.empty(4096)
    pivot, direction, last = np.empty(2, np.int64), np.empty(1), np.empty(4, np.int64)
    for _ in range(count):
        for _ in range(attempts):
            if np.sum(taken <= FREE) < LEAST_FREE_SHARE * size * size:
                continue
            trial = taken.copy()
            lined = np.maximum(taken, blank(size, 1))
            whole = first_start(rng, lined, footprints, shape, last, pivot, direction, starts)
            snake[0] = last
            for k in range(1, paddles):
                if not whole:
                    break
                whole = extend(rng, trial, pivot, direction, last, footprints, shape, places, angles, weights)
                snake[k] = last
            if whole:
                imprint(trial, last, footprints)
                taken[:] = trial
                for k in range(paddles):
                    draw(layer, snake[k], strokes, contrast)
                break


@njit(nogil=True, cache=True)
def draw_snakes(rng, size, padding, distance, paddles, distractors, contrasts, strokes, footprints, shape, layer):
    """Draw both targets and the distractors into `layer`; returns each target's start and far end, (snake, end, 2)."""
    count, attempts, distractor_paddles = distractors
    snakes = np.empty((2, paddles, 4), np.int64)
    taken = target_snakes(rng, size, padding, distance, paddles, footprints, shape, snakes)
    for snake in range(2):
        for k in range(paddles):
            draw(layer, snakes[snake, k], strokes, contrasts[0])
    distractor_snakes(rng, taken, count, attempts, distractor_paddles, footprints, shape, layer, strokes, contrasts[1])
    tips = np.empty((2, 2, 2), np.int64)
    for snake in range(2):
        tips[snake, 0], tips[snake, 1] = snakes[snake, 0, :2], snakes[snake, paddles - 1, :2]
    return tips
