"""Methods: ways to adapt a model to data, one file each. Every method maps Model to Model."""
