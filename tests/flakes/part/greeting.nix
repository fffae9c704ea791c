"hello from the part"
