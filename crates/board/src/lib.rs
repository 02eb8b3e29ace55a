//! The board shows, in a browser and to programs. It reads views and submits what people ask for; it decides
//! nothing and has no state of its own. Nothing is built here yet.
