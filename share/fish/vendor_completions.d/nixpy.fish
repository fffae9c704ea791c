# fish sources this with the first Tab behind `nixpy`. The script comes from the nixpy that it is for,
# so that the two always speak alike.
nixpy completion fish | source
