"""The data of the course: what ships inside the packages it depends on, or is generated."""
