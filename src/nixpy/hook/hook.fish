# nixpy's hook for fish: nixpy hook fish | source, before or after direnv's own line.
#
# It stands in front of direnv's hook. Where direnv's answer is known it is evaluated again, by
# builtins alone: no process is started, nothing is written. Otherwise direnv is asked as ever.

set -g _nixpy_command nixpy
set -g _nixpy_root /
set -g _nixpy_direnv_path direnv
set -g _nixpy_exact $_nixpy_root/@exact
set -g _nixpy_refs $_nixpy_root/@refs
set -g _nixpy_always ''
set -g _nixpy_tried ''
# Each directory, and how the functions' names end that know it.
set -g _nixpy_functions
# A directory, and those above it.
set -g _nixpy_below
set -g _nixpy_above

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
    set -l dir $PWD
    set -l one
    set -l asks direnv
    set -l about
    if set -q DIRENV_FILE[1]
        set -qx DIRENV_FILE DIRENV_DIR DIRENV_DIFF DIRENV_WATCHES; or return 1
    end
    # A substitution costs as much as looking at thirty files.
    if not test -e $PWD/.envrc -a $PWD != /
        if test "x$_nixpy_below" != "x$PWD"
            string match -q '*'\n'*' -- $PWD; and return 1
            set -g _nixpy_below $PWD
            set -g _nixpy_above
            while test -n "$dir" -a "$dir" != /
                set -ga _nixpy_above $dir
                set dir (string replace -r '/[^/]*$' '' -- $dir)
            end
        end
        set dir
        for one in $_nixpy_above
            test -e $one/.envrc; and set dir $one; and break
        end
    end
    if not set -q dir[1]
        test -e /.envrc; and return 1
        if not set -q DIRENV_FILE[1]
            set asks prompt
        else
            set about leave
            for one in $_nixpy_functions
                test "x$one/.envrc" = "x$DIRENV_FILE"; and set dir $one; and break
            end
            set -q dir[1]; or set dir (string replace -r '/[^/]*$' '' -- $DIRENV_FILE | string collect)
        end
    else if not test -f $dir/.envrc -a -r $dir/.envrc
        return 1
    else if test "x$DIRENV_FILE" = x$dir/.envrc
        set asks prompt
        set about watched
    else
        set about enter
    end

    # Is direnv one that is known, as far as a prompt, or an evaluation, depends on it?
    if not _nixpy_$asks $_nixpy_refs/direnv "$DIRENV_FILE"
        _nixpy_source $_nixpy_root/@direnv; or return 1
        _nixpy_$asks $_nixpy_refs/direnv "$DIRENV_FILE"; or return 1
    end
    set -q about[1]; or return 0
    _nixpy_holds $about $dir; or _nixpy_learn $about $dir
end

# Usage: _nixpy_holds watched|enter|leave DIRECTORY
#
# Fails unless one of the answers that this shell has read holds.
function _nixpy_holds
    set -l one
    set -l is_this
    for one in $_nixpy_functions
        if set -q is_this[1]
            _nixpy_{$argv[1]}_$one $_nixpy_refs/$one
            return
        end
        test "x$one" = "x$argv[2]"; and set is_this yes
    end
    return 1
end

# Usage: _nixpy_learn watched|enter|leave DIRECTORY
#
# Reads what is kept once more: another shell may know more by now.
function _nixpy_learn
    if set -l at (contains -i -- $argv[2] $_nixpy_functions)
        set -e _nixpy_functions[$at..(math $at + 1)]
    end
    set -g _nixpy_always ''
    _nixpy_source $_nixpy_root$argv[2]/@answers; and _nixpy_holds $argv
end

# Usage: _nixpy_source PLACE
#
# What is sourced has the time 0, which nobody but its owner can give it: what another user has
# written to is not that old, and is not sourced.
function _nixpy_source
    test -O $argv[1]; and test -O $argv[1]/fish; or return 1
    test $argv[1]/fish -ot $_nixpy_exact/1; or return 1
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
end

# direnv's functions stay what they are but for its call of itself.
function _nixpy_wrap
    # It takes a fish that compares nanoseconds.
    test $_nixpy_exact/1 -ot $_nixpy_exact/2 2>/dev/null
    and test $_nixpy_exact/2 -nt $_nixpy_exact/1 2>/dev/null
    or return
    set -l name
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
