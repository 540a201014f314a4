"""Returns on their way to Procore: check, deliver under the author's grant, read back, report."""
