read -r answer
export AFTER="answered ${answer:-nothing}"
