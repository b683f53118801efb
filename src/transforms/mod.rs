//! Transforms of images and of the targets that go along with them.
