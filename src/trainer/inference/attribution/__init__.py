"""Attribution of predictions to the columns of a table, the regions of an image and the words of a text."""
