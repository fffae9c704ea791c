exampleNUMBER() {
    local argument=$1
    for ((n = 0; n < 10; n++)); do
        case $argument in
            x) echo y ;;
            *) echo z ;;
        esac
    done
}
