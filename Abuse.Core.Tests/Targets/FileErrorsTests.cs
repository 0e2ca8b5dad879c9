using NUnit.Framework;

namespace Abuse.Core.Tests;

[TestFixture]
[Platform("Linux")]
public sealed class FileErrorsTests
{
    [TestCase(0, BioResult.Ok)]
    [TestCase(28, BioResult.NoSpace)]
    [TestCase(122, BioResult.NoSpace)]
    [TestCase(30, BioResult.ReadOnly)]
    [TestCase(5, BioResult.IoError)]
    [TestCase(9, BioResult.IoError)]
    [TestCase(69, BioResult.IoError)]
    public void An_errno_becomes_a_result_directly_and_in_an_exception(int errno, BioResult expected)
    {
        Assert.That(FileErrors.ToResult(errno), Is.EqualTo(expected));
        Assert.That(FileErrors.ToResult(new IOException("", errno)), Is.EqualTo(expected));
    }

    [TestCase(95, ExpectedResult = true)]
    [TestCase(38, ExpectedResult = true)]
    [TestCase(22, ExpectedResult = true)]
    [TestCase(19, ExpectedResult = true)]
    [TestCase(0, ExpectedResult = false)]
    [TestCase(28, ExpectedResult = false)]
    [TestCase(5, ExpectedResult = false)]
    public bool Another_way_is_tried_only_where_this_one_is_not_there(int errno) => FileErrors.IsUnsupported(errno);

    /// <summary>That .NET puts the errno there is what the mapping rests on.</summary>
    [Test]
    public void An_exception_of_the_frameworks_own_carries_its_errno()
    {
        using var full = File.OpenHandle("/dev/full", access: FileAccess.Write);
        IOException? thrown = Assert.Throws<IOException>(() => RandomAccess.Write(full, new byte[512], 0));
        Assert.That(FileErrors.ToResult(thrown!), Is.EqualTo(BioResult.NoSpace));
    }
}
