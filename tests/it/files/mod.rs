//! Files: straight into the object store, to be fetched by those alone who can read a message that
//! carries them.

mod absence;
mod ends;
mod messages;
mod previews;
mod store;
mod uploading;
