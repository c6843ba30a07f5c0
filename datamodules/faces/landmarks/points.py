"""Which of the 68 points is which; left and right are those of the image."""

JAW = range(17)
LEFT_BROW, RIGHT_BROW = range(17, 22), range(22, 27)
BROWS = range(17, 27)
BRIDGE, NOSTRILS = range(27, 31), range(31, 36)
NOSE = range(27, 36)
LEFT_EYE, RIGHT_EYE = range(36, 42), range(42, 48)
EYES = range(36, 48)
LIPS, INNER_LIPS = range(48, 60), range(60, 68)
MOUTH = range(48, 68)
OUTER_CORNERS = 36, 45  # of the eyes

# which is which in the mirror: jaw, brows, bridge, nostrils, eyes, lips
MIRROR = [
    *reversed(JAW),
    *reversed(BROWS),
    *BRIDGE,
    *reversed(NOSTRILS),
    *(45, 44, 43, 42, 47, 46),
    *(39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48),
    *(59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60),
    *(67, 66, 65),
]
