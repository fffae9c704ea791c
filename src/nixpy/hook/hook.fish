# nixpy's hook for fish: nixpy hook fish | source, before or after direnv's own line.
#
# It stands in front of direnv's hook. Where direnv's answer is known it is evaluated again, by
# builtins alone: no process is started, nothing is written. Otherwise direnv is asked as ever.

set -g _nixpy_command nixpy
set -g _nixpy_root /
set -g _nixpy_direnv_path direnv
set -g _nixpy_answers ''
set -g _nixpy_always ''
set -g _nixpy_place ''
set -g _nixpy_tried ''

function _nixpy_direnv
    return 1
end

function _nixpy_prompt
    return 1
end

# Fails unless direnv need not be asked, because it would say nothing or what it said before.
function _nixpy_known
    # A directory that is gone or was moved is direnv's affair.
    test . -ef "$PWD"; or return 1
    set -l own (count (string match 'DIRENV_*' -- (set -nx)))
    if set -q DIRENV_FILE[1]
        set -qx DIRENV_FILE DIRENV_DIR DIRENV_DIFF DIRENV_WATCHES; or return 1
        set own (math $own - 4)
    end
    set -l dir (string replace -r '/$' '' -- $PWD)
    while test -n "$dir"; and not test -e $dir/.envrc
        set dir (string replace -r '/[^/]*$' '' -- $dir)
    end
    if test -z "$dir"
        test -e /.envrc; and return 1
        if not set -q DIRENV_FILE[1]
            _nixpy_is prompt $own
            return
        end
        _nixpy_is direnv $own; or return 1
        _nixpy_replay leave (string replace -r '/[^/]*$' '' -- $DIRENV_FILE)
        return
    end
    test -f $dir/.envrc -a -r $dir/.envrc; or return 1
    if test "$DIRENV_FILE" = $dir/.envrc
        _nixpy_is prompt $own; and _nixpy_replay watched $dir
    else
        _nixpy_is direnv $own; and _nixpy_replay enter $dir
    end
end

# Usage: _nixpy_is prompt|direnv OWN
#
# Fails unless direnv is one that is known, as far as a prompt, or an evaluation, depends on it.
function _nixpy_is
    _nixpy_$argv[1] $_nixpy_root/@direnv/refs $argv[2]; and return 0
    _nixpy_source $_nixpy_root/@direnv; and _nixpy_$argv[1] $_nixpy_root/@direnv/refs $argv[2]
end

# Usage: _nixpy_replay watched|enter|leave DIRECTORY
function _nixpy_replay
    if test "$_nixpy_answers" = $argv[2]; and _nixpy_$argv[1] $_nixpy_place/refs
        return 0
    end
    # Another shell may know more by now.
    set -g _nixpy_answers ''
    set -g _nixpy_always ''
    set -g _nixpy_place $_nixpy_root$argv[2]/@answers
    _nixpy_source $_nixpy_place; or return 1
    test "$_nixpy_answers" = $argv[2]; or return 1
    _nixpy_$argv[1] $_nixpy_place/refs
end

# Usage: _nixpy_source PLACE
#
# What is sourced has the time 0, which nobody but its owner can give it: what another user has
# written to is not that old, and is not sourced.
function _nixpy_source
    test -O $argv[1]; and test -O $argv[1]/fish; or return 1
    test $argv[1]/fish -ot $_nixpy_root/@exact/1; or return 1
    source $argv[1]/fish 2>/dev/null
end

# In the place of direnv's call of itself.
function _nixpy_hook
    _nixpy_known; and return
    set -l before "$DIRENV_DIFF"
    $_nixpy_direnv_path export fish | source
    _nixpy_record "$before"
end

# Has kept what direnv answered, once for each state of this shell.
function _nixpy_record
    set -l state "$PWD $DIRENV_FILE $DIRENV_DIFF $argv[1]"
    test "$_nixpy_tried" = off; and return
    test "$_nixpy_tried" = "$state"; and return
    # Where direnv is always asked there is nothing to keep but what it watches.
    if test -n "$_nixpy_always"; and _nixpy_known
        return
    end
    set -g _nixpy_tried "$state"
    begin
        set -lx NIXPY_HOOK_BEFORE $argv[1]
        $_nixpy_command hook record fish $_nixpy_root $_nixpy_direnv_path </dev/null >/dev/null 2>&1
        or set -g _nixpy_tried off
    end
    set -g _nixpy_answers ''
end

# direnv's functions stay what they are but for its call of itself.
function _nixpy_wrap
    set -l exact $_nixpy_root/@exact
    # It takes a fish that compares nanoseconds.
    test $exact/1 -ot $exact/2 2>/dev/null; and test $exact/2 -nt $exact/1 2>/dev/null; or return
    for name in __direnv_export_eval __direnv_export_eval_2
        functions -q $name; or continue
        set -l text (functions --no-details $name | string collect)
        set -l path (string match -r '"(/[^"]+)" export fish \| source' -- $text)[2]
        test -n "$path"; or continue
        set -g _nixpy_direnv_path $path
        eval (string replace -a "\"$path\" export fish | source" _nixpy_hook -- $text | string collect)
    end
end

# At the first prompt all of the startup files have been read, direnv's line among them.
function _nixpy_install --on-event fish_prompt
    functions --erase _nixpy_install
    _nixpy_wrap
end

if not functions -q __direnv_export_eval
    $_nixpy_direnv_path hook fish | source
end
_nixpy_wrap
