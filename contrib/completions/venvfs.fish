# SPDX-License-Identifier: MIT
#
# fish completion for venvfs. Commands and options are read from --help, so there is no list of them
# to keep here; what an argument is, its name in the usage line says (ENV, NAME, FILE, ...).

function __venvfs_options --argument-names sub_command
    awk -v sub_command="$sub_command" '
        /^usage: / { usage = $0; next }
        sub_command != "" && index($0, sub_command " ") == 1 { own = own " " $0 }
        /^ +-/ { sub(/^ +/, ""); sub(/  .*/, ""); described = described " " $0 }
        END {
            text = own != "" ? own : usage " " described
            while (match(text, /(^|[^A-Za-z0-9-])--?[A-Za-z][A-Za-z-]*/)) {
                option = substr(text, RSTART, RLENGTH)
                sub(/^[^-]/, "", option)
                if (!(option in seen)) print option
                seen[option] = 1
                text = substr(text, RSTART + RLENGTH)
            }
        }'
end

function __venvfs_subcommands
    sed -n '1s/^usage: venvfs [a-z]* \([a-z|]*\)\( .*\)\{0,1\}$/\1/p' | tr '|' '\n' | string match -r '.+'
end

function __venvfs_names
    grep -o '{"name": "[^"\\\\]*"' | sed 's/.*: "//; s/"$//' | sort -u
end

function __venvfs
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -l globals
    set -l arguments
    set -l command ''
    set -l pending ''

    # what stands before the cursor: common options, the command, its arguments
    for word in $words[2..-1]
        if test -n "$pending"
            set globals $globals $pending $word
            set pending ''
            continue
        end
        switch $word
            case --store --tier --root
                set pending $word
            case -- '-*'
                set globals $globals (string match -r -- '^--(?:store|tier|root)=.*' $word)
                if test "$word" = -- -a -n "$command"
                    __fish_complete_command
                    return
                end
            case '*'
                test -n "$command"; and set arguments $arguments $word; or set command $word
        end
    end

    switch $words[-1]
        case --store --tier --root
            __fish_complete_directories $current
            return
        case --python -p
            complete -C"python"
            __fish_complete_path $current
            return
        case --from --requirement -r
            __fish_complete_path $current
            return
        case --ask
            printf '%s\n' pip uv
            return
        case --format
            printf '%s\n' requirements pylock
            return
        case --prompt --harvest --jobs --with -w --seed
            return
    end

    if test -z "$command"
        set -l help ($program --help 2>/dev/null)
        if string match -q -- '-*' $current
            printf '%s\n' $help | __venvfs_options ''
        else
            printf '%s\n' $help | awk '/^commands:/ { on = 1; next } /^$/ { on = 0 }
                on { name = $1; $1 = ""; sub(/^ +/, ""); print name "\t" $0 }'
        end
        return
    end

    set -l help ($program $command --help 2>/dev/null); or return
    set -l subcommands (printf '%s\n' $help | __venvfs_subcommands)
    set -l own ''
    if test -n "$subcommands" -a -n "$arguments[1]"
        set own "$command $arguments[1]"
        set arguments $arguments[2..-1]
    end
    if string match -q -- '-*' $current
        printf '%s\n' $help | __venvfs_options $own
        printf '%s\n' --store --tier --root --help
        return
    end
    if test -n "$subcommands" -a -z "$own"
        printf '%s\n' $subcommands
        return
    end

    set -l usage $help[1]
    if test -n "$own"
        set -l line (printf '%s\n' $help | string match -- "$own *")
        test -n "$line"; and set usage $line
    end
    if string match -q '*ENV*' -- $usage; and begin
            test (count $arguments) = 0; or string match -q '*ENV...*' -- $usage
        end
        $program $globals ls --json 2>/dev/null | __venvfs_names
        string match -qr '^\.|/' -- $current; and __fish_complete_directories $current
    else if string match -q '*ENV NAME*' -- $usage
        $program $globals show $arguments[1] --json 2>/dev/null | __venvfs_names
    else if string match -q '*NAME*' -- $usage
        $program $globals store ls --json 2>/dev/null | __venvfs_names
    else if string match -qr 'WHEEL' -- $usage
        __fish_complete_suffix $current .whl
    else if string match -qr 'FILE|PATH|REQ' -- $usage
        __fish_complete_path $current
    else if string match -q '*DIR*' -- $usage
        __fish_complete_directories $current
    end
end

complete -c venvfs -f -a '(__venvfs)'
