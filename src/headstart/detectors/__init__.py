"""Detectors: what reads a backbone's maps and answers with boxes."""

NOT_PARTS = ("head", "pyramid", "set_prediction", "simota")
