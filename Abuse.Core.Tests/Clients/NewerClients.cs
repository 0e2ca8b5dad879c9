using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Clients of a newer Debian than this system's, which speak extended headers: fetched once, never installed (eng/fetch-clients).</summary>
internal static class NewerClients
{
    private static readonly Lazy<Task<(int Status, string Output)>> Fetched = new(static () =>
        Repository.RunAsync(Repository.Root, "bash", Path.Combine(Repository.Root, "eng", "fetch-clients")));

    private static readonly string Folder = Path.Combine(Repository.Root, "artifacts", "clients", "trixie", "bin");

    /// <summary>Ignores the test, and says why, where there is no way to have them.</summary>
    internal static async Task NeedAsync()
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Ignore("the clients are programs of Linux");
        }

        (int status, string output) = await Fetched.Value;
        if (status != 0)
        {
            Assert.Ignore($"no newer clients can be had here: {output.Trim()}");
        }

        TestContext.Out.WriteLine(output.Trim());
    }

    /// <summary>Runs one of them to its end: it must succeed. What it printed on standard output.</summary>
    internal static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using ClientProgram client = ClientProgram.StartAt(Path.Combine(Folder, program), arguments);
        int status = await client.ExitAsync();
        Assert.That(status, Is.Zero, client.Quote());
        return client.Output;
    }

    /// <summary>Runs a script of Python over libnbd, as <see cref="NbdShell"/> does.</summary>
    internal static Task<string> ShellAsync(ServedDisk disk, string script, bool connect = true) => RunAsync("nbdsh", NbdShell.Arguments(disk, script, connect));
}
