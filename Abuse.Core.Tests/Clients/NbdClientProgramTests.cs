using System.Globalization;
using System.Net;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>nbd-client, as far as it goes without a kernel: the rest is in the guest.</summary>
[TestFixture]
internal sealed class NbdClientProgramTests
{
    [Test]
    public async Task It_lists_the_exports()
    {
        await using var disk = new ServedDisk(
            [(new MemoryTarget(1 << 20), "one", "the first", true), (new MemoryTarget(1 << 20), "two", null, true)], Road.Tcp);
        string port = ((IPEndPoint)disk.Server.EndPoint!).Port.ToString(CultureInfo.InvariantCulture);
        string output = await ClientProgram.RunAsync("nbd-client", "nbd-client", "-l", "127.0.0.1", port);
        Assert.That(output, Does.Contain("one").And.Contain("two"), output);
    }
}
