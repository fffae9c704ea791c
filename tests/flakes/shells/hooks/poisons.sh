export LD_PRELOAD=/nowhere.so LD_LIBRARY_PATH=/nowhere PATH=/nowhere AFTER=yes
