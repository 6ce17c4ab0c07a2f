"""Selection: which model, which method, how many labels, which of them are wrong; answered on these data."""
