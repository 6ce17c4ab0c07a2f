"""Writers: one file per format of marked objects; each turns a data set into files that other tools read."""
