"""Detectors: what reads a backbone's maps and answers with boxes."""

NOT_PARTS = ("head", "mask_queries", "pyramid", "set_prediction", "simota")
