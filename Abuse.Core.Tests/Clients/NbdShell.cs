using System.Globalization;

namespace Abuse.Core.Tests;

/// <summary>Python over libnbd: scripts that do with a server what no finished client does.</summary>
internal static class NbdShell
{
    /// <summary>Names for all scripts: uri, read and write of patterns, and a call that must fail in one way.</summary>
    private const string Prelude = """
        import sys
        def fails(names, call):
            try:
                call()
            except nbd.Error as failure:
                assert failure.errno in names.split("|"), "%s, not %s: %s" % (failure.errno, names, failure.string)
                return
            raise AssertionError("it succeeded where %s was due" % names)
        def pattern(i, length=4096):
            return bytes([(i * 7 + 3) % 251 + 1]) * length
        def say(word):
            print(word)
            sys.stdout.flush()
        def extents(offset, length, flags=0, handle=None):
            found = []
            def take(context, at, entries, err):
                assert context == "base:allocation" and at == offset
                found.extend(entries)
            (handle or h).block_status(length, offset, take, flags)
            return [(found[i], found[i + 1]) for i in range(0, len(found), 2)]
        def chunks(offset, length, flags=0):
            found = []
            def take(buffer, at, status, err):
                found.append((at, len(buffer), status))
            data = h.pread_structured(length, offset, take, flags)
            return data, sorted(found)

        """;

    /// <summary>Runs a script, connected to the server as <c>h</c> unless it does that itself; it must succeed. What it printed.</summary>
    internal static Task<string> RunAsync(ServedDisk disk, string script, bool connect = true) =>
        ClientProgram.RunAsync("python3-libnbd", "nbdsh", Arguments(disk, script, connect));

    internal static ClientProgram Start(ServedDisk disk, string script, bool connect = true) =>
        ClientProgram.Start("python3-libnbd", "nbdsh", Arguments(disk, script, connect));

    /// <summary>What makes nbdsh run a script.</summary>
    internal static string[] Arguments(ServedDisk disk, string script, bool connect)
    {
        string start = string.Create(CultureInfo.InvariantCulture, $"uri = \"{disk.Uri}\"\n");
        if (connect)
        {
            start += "h.add_meta_context(\"base:allocation\")\nh.connect_uri(uri)\nh.set_strict_mode(getattr(nbd, \"STRICT_AUTO_FLAG\", 0))\n";
        }

        return ["-c", Prelude + start + script];
    }
}
