//! The object store that holds files.
