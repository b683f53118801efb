//! Records of a training run: files, event files and progress.
