//! Job jars.
