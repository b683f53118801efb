"""Writes the small files under `files/` that the tests read, with the programs that people use to write such files.

    python tests/data/make_files.py      (numpy)
"""

from pathlib import Path

import numpy as np

FILES = Path(__file__).parent / "files"


def arrays():
    """Values that the tests compute, too: element `i` of the flat array is `i - 3`, and true where that is even."""
    counted = np.arange(24).reshape(2, 3, 4) - 3
    save = lambda name, array: np.save(FILES / f"{name}.npy", array)
    save("f4", counted.astype("<f4"))
    save("f8_fortran", np.asfortranarray(counted.astype("<f8")))
    save("f4_big_endian", counted.astype(">f4"))
    save("u1", (counted + 3).astype("u1"))
    save("i4_fortran", np.asfortranarray(counted.astype("<i4")))
    save("i8", counted.astype("<i8"))
    save("b1", counted % 2 == 0)
    save("scalar", np.float32(2.5))
    save("empty", np.zeros((0, 3), "f4"))
    save("complex", np.zeros(2, "c8"))
    save("records", np.zeros(2, [("a", "f4"), ("b", "i4")]))
    with open(FILES / "version2.npy", "wb") as file:
        np.lib.format.write_array(file, counted.astype("<f4"), version=(2, 0))
    members = {"images": (counted + 3).astype("u1"), "labels": np.arange(5)}
    np.savez(FILES / "stored.npz", **members)
    np.savez_compressed(FILES / "deflated.npz", **members)


if __name__ == "__main__":
    FILES.mkdir(exist_ok=True)
    arrays()
