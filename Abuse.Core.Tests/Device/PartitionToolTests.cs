using System.Diagnostics;
using System.Globalization;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Tables made by the real tools, and what the tools say that is in them.</summary>
[TestFixture]
public sealed class PartitionToolTests
{
    private const int Size = 64 << 20;

    [OneTimeSetUp]
    public void FindTools()
    {
        foreach (string tool in new[] { "/usr/sbin/sfdisk", "/usr/sbin/fdisk" })
        {
            if (!File.Exists(tool))
            {
                Assert.Ignore($"{tool} is not installed: apt-get install fdisk");
            }
        }
    }

    [TestCase("label: gpt\n,8M\n,4M\n,1M\n", 3)]
    [TestCase("label: gpt\nstart=2048,size=1\n7 : start=4096,size=100\n3 : start=10000,size=20000\n", 3)]
    [TestCase("label: gpt\ntable-length: 256\n200 : start=4096,size=100\n,1M\n", 2)]
    [TestCase("label: gpt\n", 0)]
    [TestCase("label: dos\n,8M\n,4M,S\n", 2)]
    [TestCase("label: dos\n,8M,L,*\n,20M,E\n,4M\n,4M\n", 4)]
    [TestCase("label: dos\n,8M\n,20M,Ex\n,4M\n,3M\n,2M\n,1M\n,5M\n,1M\n", 8)]
    [TestCase("label: dos\n4 : start=2048,size=1\n2 : start=4096,size=7,type=5\n", 2)]
    [TestCase("label: dos\n", 0)]
    public void What_sfdisk_made_is_read_as_fdisk_reads_it(string script, int expected) =>
        AssertSameAsFdisk(512, expected, "/usr/sbin/sfdisk", ["--quiet", "--no-reread"], script);

    [TestCase("g\nn\n\n\n+1M\nn\n5\n\n+8M\nn\n100\n\n\nw\n", 3)]
    [TestCase("o\nn\np\n1\n\n+1M\nn\ne\n2\n\n\nn\n\n+1M\nn\n\n+2M\nn\n\n\nw\n", 5)]
    public void What_fdisk_made_of_4096_byte_blocks_is_read_as_it_reads_it(string script, int expected) =>
        AssertSameAsFdisk(4096, expected, "/usr/sbin/fdisk", ["-b", "4096"], script);

    [Test]
    public void Where_the_primary_GPT_of_sfdisk_is_wiped_its_backup_says_the_same()
    {
        byte[] bytes = Make("/usr/sbin/sfdisk", ["--quiet", "--no-reread"], "label: gpt\n,8M\n,4M\n", out _, 512);
        (int, long, long)[] before = DiskImage.Of(bytes).Partitions();
        Array.Clear(bytes, 512, 33 * 512);
        Assert.That(before, Has.Length.EqualTo(2));
        Assert.That(DiskImage.Of(bytes).Partitions(), Is.EqualTo(before));
    }

    private static void AssertSameAsFdisk(int blockSize, int expected, string tool, string[] arguments, string script)
    {
        byte[] bytes = Make(tool, arguments, script, out string listing, blockSize);
        (int Number, long Start, long Count)[] theirs = Read(listing, blockSize);
        Assert.That(theirs, Has.Length.EqualTo(expected), listing);
        Assert.That(DiskImage.Of(bytes, blockSize).Partitions(limit: 255), Is.EquivalentTo(theirs), listing);
    }

    /// <summary>The bytes of a disk on which a tool made a table, and how fdisk lists it.</summary>
    private static byte[] Make(string tool, string[] arguments, string script, out string listing, int blockSize)
    {
        using var file = new TempFile();
        using (FileStream image = File.Create(file.Path))
        {
            image.SetLength(Size);
        }

        Run(tool, [.. arguments, file.Path], script);
        listing = Run(
            "/usr/sbin/fdisk", ["-b", blockSize.ToString(CultureInfo.InvariantCulture), "-l", "-o", "Start,Sectors,Device,Type", file.Path], "");
        listing = listing.Replace(file.Path, "disk#", StringComparison.Ordinal);
        return File.ReadAllBytes(file.Path);
    }

    private static (int Number, long Start, long Count)[] Read(string listing, int blockSize)
    {
        var found = new List<(int, long, long)>();
        foreach (string line in listing.Split('\n'))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length >= 4 && words[2].StartsWith("disk#", StringComparison.Ordinal))
            {
                // fdisk lists the whole container where Linux lists the first KiB of it.
                long count = words[3] is "Extended" or "W95"
                    ? Math.Min(Number(words[1]), Math.Max(1, 1024 / blockSize))
                    : Number(words[1]);
                // A device whose name ends in a digit has a p before the number.
                found.Add(((int)Number(words[2]["disk#".Length..].TrimStart('p')), Number(words[0]), count));
            }
        }

        return [.. found];
    }

    private static long Number(string word) => long.Parse(word, CultureInfo.InvariantCulture);

    private static string Run(string program, string[] arguments, string input)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["LC_ALL"] = "C";
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, $"{program}: {output}{error.Result}");
        return output;
    }
}
