"""Selection: which model, which method, how many labels, which labels are wrong; answered from evidence on these data."""
